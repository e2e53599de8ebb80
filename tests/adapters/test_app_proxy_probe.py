"""The harmless question to an app proxy, asked of either release."""

import pytest

from adapters.app_proxy_probe import probe
from service.demo.reference_proxy import ReferenceProxy
from service.demo.reference_proxy_app import ProxyRelease


@pytest.mark.parametrize("release", ProxyRelease)
async def test_the_proxy_tells_whom_it_knows_whatever_its_release(release: ProxyRelease) -> None:
    async with ReferenceProxy("its-token", release=release) as proxy:
        friend = await probe(proxy.address, "its-token", ca_file=None, seconds=5)
        stranger = await probe(proxy.address, "another-token", ca_file=None, seconds=5)

    assert friend.knows_us
    assert (stranger.knows_us, stranger.status) == (False, 401)
