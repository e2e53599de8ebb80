import pytest

from handlers.app_proxy_errors import ProxyTargetInvalid
from handlers.proxy_address import proxy_base_url


@pytest.mark.parametrize(
    ("address", "base_url"),
    [
        ("proxy:8080", "http://proxy:8080"),
        ("proxy", "http://proxy"),
        (" http://proxy:8080/ ", "http://proxy:8080"),
        ("HTTP://Proxy:8080", "http://proxy:8080"),
        ("https://proxy", "https://proxy"),
        ("https://proxy/prefix/", "https://proxy/prefix"),
        ("127.0.0.1:10200", "http://127.0.0.1:10200"),
        ("[::1]:10200", "http://[::1]:10200"),
    ],
)
def test_every_spelling_of_an_address_gives_one_base_url(address: str, base_url: str) -> None:
    assert proxy_base_url(address) == base_url
    assert proxy_base_url(base_url) == base_url


@pytest.mark.parametrize(
    "address",
    ["", "  ", "http://", "ftp://proxy", "proxy:port", "proxy:99999", "a b:1", "http://[::1", "proxy\n:1", "proxy?x=1",
     "http://proxy/#part", "http://us℀r@proxy"],
)  # fmt: skip
def test_an_unusable_address_is_refused(address: str) -> None:
    with pytest.raises(ProxyTargetInvalid, match="proxy address"):
        proxy_base_url(address)


@pytest.mark.parametrize(
    "address",
    ["http://user:pa55word@proxy", "http://user:pa55word@proxy:port", "proxy?token=pa55word", "ftp://u:pa55word@proxy",
     "http://u℀r:pa55word@proxy"],
)  # fmt: skip
def test_a_secret_in_a_refused_address_is_not_repeated(address: str) -> None:
    with pytest.raises(ProxyTargetInvalid) as caught:
        proxy_base_url(address)

    assert "pa55word" not in str(caught.value)
