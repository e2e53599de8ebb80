"""Which hosts proxies may be on: names, everything below a suffix, and networks."""

import pytest

from service.allowed_hosts import checked_hosts, is_allowed

ALLOWED = "proxy.example, *.models.example,10.1.0.0/16, ::1, 192.0.2.7"


@pytest.mark.parametrize(
    "host", ["proxy.example", "Proxy.Example.", "a.b.models.example", "10.1.2.3", "::1", "192.0.2.7"]
)
def test_a_host_that_is_named_or_lies_below_is_allowed(host: str) -> None:
    assert is_allowed(host, ALLOWED)


@pytest.mark.parametrize(
    "host", ["evil.example", "xproxy.example", "models.example", "evilmodels.example", "10.2.0.1", "::2", "proxy"]
)
def test_any_other_host_is_not_allowed(host: str) -> None:
    assert not is_allowed(host, ALLOWED)


@pytest.mark.parametrize("part", ["", "10.0.0.0/33", "10.0.0.1/8", "a b", "http://proxy", "*", "a.*.b", "10.0.0"])
def test_what_is_no_host_is_named(part: str) -> None:
    with pytest.raises(ValueError, match="is no host") as refused:
        checked_hosts(f"proxy.example,{part}")

    assert repr(part) in str(refused.value)
