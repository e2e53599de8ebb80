"""Which hosts app proxies may be on."""

import ipaddress
import re
from collections.abc import Iterator
from typing import Final

_NAME: Final = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?")


def checked_hosts(allowed: str) -> str:
    """Give back a list of hosts that can be understood. Raises ``ValueError``, which names the part that cannot."""
    for part in _parts(allowed):
        _network(part)
    return allowed


def is_allowed(host: str, allowed: str) -> bool:
    """Whether a host, by name or by number, is in the list; a name is never looked up."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return any(_matches(host, part) for part in _parts(allowed))
    return any(network is not None and address in network for network in map(_network, _parts(allowed)))


def _matches(name: str, part: str) -> bool:
    return name.endswith(part[1:]) if part.startswith("*.") else name == part


def _parts(allowed: str) -> Iterator[str]:
    return (part.strip().lower().rstrip(".") for part in allowed.split(","))


def _network(part: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The network that a part names, or ``None`` for a name. Raises ``ValueError`` for neither."""
    try:
        return ipaddress.ip_network(part)
    except ValueError:
        numbers = "/" in part or ":" in part or part.replace(".", "").isdigit()
        if numbers or not _NAME.fullmatch(part):
            # Before an @ there may be a password.
            shown = "what holds an @" if "@" in part else repr(part)
            raise ValueError(
                f"{shown} is no host: write names, *.SUFFIX, or networks such as 10.0.0.0/8, separated by commas"
            ) from None
        return None
