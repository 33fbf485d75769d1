"""An unsafe request that succeeded → the targets whose stored answers it may have changed (RFC 9111 §4.4)."""

from urllib.parse import urljoin, urlsplit

from proxy.core.types import SAFE_METHODS, Request, Response

_NAMED_BY = (b"location", b"content-location")


def changed_targets(request: Request, response: Response) -> tuple[bytes, ...]:
    """Return the request's own target and those that the answer names, of the same origin only."""
    if request.method in SAFE_METHODS or not 200 <= response.status < 400:
        return ()
    base, host = _base(request)
    targets = [request.target]
    for name in _NAMED_BY:
        if (value := response.header(name)) is not None:
            targets += _same_origin(base, value.decode("latin-1"), host)
    return tuple(dict.fromkeys(targets))


def is_its_own_location(request: Request, response: Response) -> bool:
    """Tell whether the answer is what a GET of the request's own target would get (RFC 9110 §8.7, §9.3.3)."""
    value = response.header(b"content-location")
    if value is None:
        return False
    base, host = _base(request)
    return _same_origin(base, value.decode("latin-1"), host) == [request.target]


def _base(request: Request) -> tuple[str, str]:
    host = _authority((request.header(b"host") or b"").decode("latin-1"), request.client.scheme)
    return f"{request.client.scheme}://{host}{request.target.decode('latin-1')}", host


def _authority(text: str, scheme: str) -> str:
    return text.lower().removesuffix({"http": ":80", "https": ":443"}.get(scheme, " "))


def _same_origin(base: str, reference: str, host: str) -> list[bytes]:
    try:
        named = urlsplit(urljoin(base, reference))
    except ValueError:  # not a URL: it names nothing
        return []
    if _authority(named.netloc, named.scheme) != host:
        return []
    path = named.path or "/"
    return [f"{path}?{named.query}".encode("latin-1") if named.query else path.encode("latin-1")]
