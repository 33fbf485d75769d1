"""Content codings → the plain body, never more of it than is wanted (RFC 9110 §8.4)."""

import zlib
from collections.abc import Mapping

from proxy.core.reasons import Reason
from proxy.core.types import Response
from proxy.errors import Fallback

_WINDOWS: Mapping[bytes, tuple[int, ...]] = {
    b"gzip": (31,),
    b"x-gzip": (31,),
    b"deflate": (15, -15),  # RFC 9110 §8.4.1.2: some send it without the zlib wrapper
}


def plain_body(response: Response, body: bytes, most: int) -> bytes:
    """Return a body without its content coding.

    Raises Fallback: KEY_BODY_ENCODING for a coding that is not known or broken, TOO_LARGE for more than `most` bytes.
    """
    coding = (response.header(b"content-encoding") or b"identity").strip().lower()
    if coding != b"identity":
        body = _inflated(body, _WINDOWS.get(coding, ()), most)
    if len(body) > most:
        raise Fallback(Reason.TOO_LARGE)
    return body


def _inflated(body: bytes, windows: tuple[int, ...], most: int) -> bytes:
    for window in windows:
        reader = zlib.decompressobj(window)
        try:
            plain = reader.decompress(body, most + 1)
        except zlib.error:
            continue
        if len(plain) > most:
            return plain
        if reader.eof and not reader.unused_data:
            return plain
    raise Fallback(Reason.KEY_BODY_ENCODING)
