"""Which app proxy serves which scaling group, from a YAML file.

::

    default:                     # the scaling group
      address: http://proxy:10200
      token:
        env: PROXY_TOKEN         # or "file: /run/secrets/token", or "value: …"
      ca_file: /etc/proxy-ca.pem # optional, for https: what the proxy's certificate is checked against
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from adapters.app_proxy import AppProxyClientPool, TrustedClients
from handlers.app_proxy import check_token
from handlers.app_proxy_errors import ProxyTargetInvalid
from handlers.deployment_repository import ScalingGroupProxyTarget
from handlers.proxy_address import proxy_base_url
from service.allowed_hosts import is_allowed
from service.embedded import find_embedded
from service.secret_source import SecretSource
from service.settings import Settings, SettingsInvalid

#: Largest file of proxy targets (bytes).
_MAX_BYTES = 1024 * 1024


class _Target(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    address: Annotated[str, Field(min_length=1, max_length=2000)]
    token: SecretSource
    ca_file: Path | None = None


_TARGETS = TypeAdapter(dict[str, _Target])


class ProxyTargets(Mapping[str, ScalingGroupProxyTarget]):
    """The app proxy of each scaling group, which may be replaced while others read."""

    def __init__(self, targets: Mapping[str, ScalingGroupProxyTarget]) -> None:
        self._targets = dict(targets)

    def __getitem__(self, group: str) -> ScalingGroupProxyTarget:
        return self._targets[group]

    def __iter__(self) -> Iterator[str]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)

    def replace(self, targets: Mapping[str, ScalingGroupProxyTarget]) -> None:
        """Take these instead, all at once."""
        self._targets = dict(targets)


def proxy_targets_of(settings: Settings) -> Mapping[str, ScalingGroupProxyTarget]:
    """The proxies that the settings name, else an embedded one that is up. Raises :class:`SettingsInvalid`."""
    if settings.proxy_targets_file is not None:
        return load_proxy_targets(settings.proxy_targets_file, allowed_hosts=settings.proxy.allowed_hosts)
    parts = find_embedded(settings.data_dir)
    if parts is None or parts.proxy is None:
        return {}
    target = ScalingGroupProxyTarget(parts.proxy.address, parts.proxy.token)
    return dict.fromkeys(parts.proxy.groups, target)


def client_pool_of(settings: Settings) -> AppProxyClientPool:
    """The pool for calls to the proxies. Raises :class:`SettingsInvalid`."""
    ca_file = settings.proxy.ca_file
    try:
        return AppProxyClientPool(settings.proxy.connections, ca_file=ca_file)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise SettingsInvalid(f"ROUTEKEEPER_PROXY__CA_FILE: {str(ca_file)!r} cannot be used: {why}") from None


def read_certificates(pool: AppProxyClientPool, targets: Mapping[str, ScalingGroupProxyTarget]) -> TrustedClients:
    """Read the certificates that the targets name, for ``pool.trust``; blocks. Raises :class:`SettingsInvalid`."""
    ca_files: dict[str, Path] = {}
    for group, target in targets.items():
        if target.ca_file is None:
            continue
        url = proxy_base_url(target.addr)
        if ca_files.setdefault(url, target.ca_file) != target.ca_file:
            raise SettingsInvalid(f"scaling group {group!r}: ca_file: {url} has another one in another group")
    try:
        return pool.read_certificates(ca_files)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise SettingsInvalid(f"a ca_file of {', '.join(_shown(ca_files.values()))} cannot be used: {why}") from None


def load_proxy_targets(path: Path, *, allowed_hosts: str | None = None) -> dict[str, ScalingGroupProxyTarget]:
    """Read the file and the tokens that it refers to; ``allowed_hosts`` as the setting has them.

    Raises :class:`SettingsInvalid`, without a token in its text.
    """
    try:
        parsed = _TARGETS.validate_python(_document(path))
    except OSError as error:
        raise SettingsInvalid(f"proxy targets file {path} cannot be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        where = getattr(error, "problem_mark", None)
        line = f" in line {where.line + 1}" if where else ""
        raise SettingsInvalid(f"proxy targets file {path} is not YAML{line}") from None
    except RecursionError:
        raise SettingsInvalid(f"proxy targets file {path} is not usable: it is nested too deep") from None
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False)]
        raise SettingsInvalid(f"proxy targets file {path}: " + "; ".join(problems)) from None
    return {group: _resolve(path, group, target, allowed_hosts) for group, target in parsed.items()}


def _document(path: Path) -> object:
    with path.open("rb") as opened:
        text = opened.read(_MAX_BYTES + 1)
    if len(text) > _MAX_BYTES:
        raise SettingsInvalid(f"proxy targets file {path} is longer than {_MAX_BYTES} bytes")
    document: object = yaml.safe_load(text)
    # A file that is still being written may be empty for a moment, and must not take every proxy away.
    if document is None:
        raise SettingsInvalid(f"proxy targets file {path} is empty; write {{}} for no proxies")
    return document


def _resolve(path: Path, group: str, target: _Target, allowed_hosts: str | None) -> ScalingGroupProxyTarget:
    try:
        _check_address(target, allowed_hosts)
        token = target.token.read() or ""
        check_token(SecretStr(token))
        return ScalingGroupProxyTarget(target.address, token, target.ca_file)
    except (ValueError, ProxyTargetInvalid) as error:
        raise SettingsInvalid(f"proxy targets file {path}: scaling group {group!r}: {error}") from None


def _check_address(target: _Target, allowed_hosts: str | None) -> None:
    url = proxy_base_url(target.address)
    host = urlsplit(url).hostname or ""
    if allowed_hosts is not None and not is_allowed(host, allowed_hosts):
        raise ValueError(f"address: host {host!r} is not in ROUTEKEEPER_PROXY__ALLOWED_HOSTS ({allowed_hosts})")
    if target.ca_file is not None and not url.startswith("https:"):
        raise ValueError(f"ca_file: is set, but {url} is not https")


def _shown(files: Iterable[Path]) -> list[str]:
    return sorted({repr(str(file)) for file in files})
