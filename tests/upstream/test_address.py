"""An upstream's URL: where to connect, what to call it, what goes before each path."""

import pytest

from proxy.upstream.address import Address

READ = [
    ("http://legacy:8000", Address("http", "legacy", 8000), b"legacy:8000"),
    ("http://legacy", Address("http", "legacy", 80), b"legacy"),
    ("http://legacy:80/", Address("http", "legacy", 80), b"legacy"),
    ("https://legacy", Address("https", "legacy", 443), b"legacy"),
    ("https://legacy:80", Address("https", "legacy", 80), b"legacy:80"),
    ("http://legacy:8000/base/", Address("http", "legacy", 8000, b"/base"), b"legacy:8000"),
    ("http://[::1]:8000", Address("http", "::1", 8000), b"[::1]:8000"),
    ("http://[::1]", Address("http", "::1", 80), b"[::1]"),
    ("http://LEGACY.Example", Address("http", "legacy.example", 80), b"legacy.example"),
    ("http://bücher.example", Address("http", "bücher.example", 80), b"xn--bcher-kva.example"),
    ("unix:/run/legacy.sock", Address("http", "localhost", 80, unix="/run/legacy.sock"), b"localhost"),
]


@pytest.mark.parametrize(("url", "address", "authority"), READ, ids=lambda one: one if isinstance(one, str) else "")
def test_a_url_is_read(url: str, address: Address, authority: bytes) -> None:
    assert Address.parse(url) == address
    assert Address.parse(url).authority == authority


@pytest.mark.parametrize(
    ("base", "target", "sent"),
    [
        ("", b"/x?y", b"/x?y"),
        ("/base", b"/x?y", b"/base/x?y"),
        ("/base/", b"//x", b"/base//x"),
        ("/base", b"/", b"/base/"),
        ("/base", b"*", b"*"),
        ("/a%20b", b"/%7e", b"/a%20b/%7e"),
    ],
)
def test_a_base_path_goes_before_the_clients_own_target(base: str, target: bytes, sent: bytes) -> None:
    """Byte for byte; `*` is no path."""
    assert Address.parse(f"http://legacy{base}").target(target) == sent


def test_two_upstreams_never_share_an_identity() -> None:
    """In a shared store an identity sets one upstream's answers apart."""
    urls = [
        "http://a", "https://a", "http://a:81", "http://a/base", "http://a/base/more", "http://b", "unix:/a", "unix:/b",
    ]  # fmt: skip
    assert len({Address.parse(url).identity for url in urls}) == len(urls)
    assert Address.parse("http://a:80/").identity == Address.parse("http://a").identity == "http://a"
