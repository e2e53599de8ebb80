"""One spelling for an app proxy's address, whichever way the settings write it."""

from functools import lru_cache
from urllib.parse import urlsplit

from handlers.app_proxy_errors import ProxyTargetInvalid


@lru_cache(maxsize=1024)
def proxy_base_url(address: str) -> str:
    """Give the URL that the proxy's paths are appended to, without a trailing slash.

    ``proxy:8080``, ``http://proxy:8080`` and ``http://Proxy:8080/`` are the same proxy. A path is kept.

    Raises:
        ProxyTargetInvalid: The address is not ``host[:port]`` or an http(s) URL without credentials, query or fragment.
    """
    text = address.strip()
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ProxyTargetInvalid(f"proxy address {_shown(text)} has no valid host and port") from None
    if parts.scheme not in {"http", "https"}:
        raise ProxyTargetInvalid(f"proxy address {_shown(text)} has scheme {parts.scheme!r}, not http or https")
    if not host or any(character.isspace() or not character.isprintable() for character in text):
        raise ProxyTargetInvalid(f"proxy address {_shown(text)} names no host")
    if "@" in parts.netloc:
        raise ProxyTargetInvalid("proxy address holds credentials; they belong into the token")
    if parts.query or parts.fragment:
        raise ProxyTargetInvalid(f"proxy address {_shown(text)} has a query or a fragment")
    host = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{host}{'' if port is None else f':{port}'}{parts.path.rstrip('/')}"


def _shown(address: str) -> str:
    """Quote an address for an error message, without what might be a password."""
    return repr(address.rpartition("@")[2].partition("?")[0][:200])
