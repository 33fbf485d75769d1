"""Content codings are undone, and never more of them than is wanted."""

import gzip
import zlib

import pytest

from proxy.core.coding import plain_body
from proxy.core.types import Response
from proxy.errors import Fallback

TEXT = b'{"items": [1, 2, 3]}' * 50


def raw_deflate(text: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(text) + deflate.flush()


def coded(coding: bytes | None) -> Response:
    return Response(200, ((b"content-encoding", coding),) if coding else ())


READ = {
    "none": (None, TEXT),
    "said to be none": (b"identity", TEXT),
    "gzip": (b"gzip", gzip.compress(TEXT)),
    "its other name": (b" X-GZIP ", gzip.compress(TEXT)),
    "deflate": (b"deflate", zlib.compress(TEXT)),
    "deflate as some send it": (b"deflate", raw_deflate(TEXT)),
}


@pytest.mark.parametrize(("coding", "body"), READ.values(), ids=READ)
def test_the_plain_body(coding: bytes | None, body: bytes):
    assert plain_body(coded(coding), body, 10_000) == TEXT


REFUSED = {
    "brotli": (b"br", b"x", "key_body_encoding"),
    "two codings": (b"gzip, gzip", gzip.compress(TEXT), "key_body_encoding"),
    "broken": (b"gzip", gzip.compress(TEXT)[:-9] + b"broken!!!", "key_body_encoding"),
    "cut off": (b"gzip", gzip.compress(TEXT)[:-1], "key_body_encoding"),
    "more behind its end": (b"gzip", gzip.compress(TEXT) + b"more", "key_body_encoding"),
    "not what it says": (b"gzip", TEXT, "key_body_encoding"),
    "a bomb": (b"gzip", gzip.compress(b"\0" * 2**24), "too_large"),
    "too large as it is": (None, b"x" * 10_001, "too_large"),
}


@pytest.mark.parametrize(("coding", "body", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_read(coding: bytes | None, body: bytes, reason: str):
    with pytest.raises(Fallback) as told:
        plain_body(coded(coding), body, 10_000)
    assert told.value.reason == reason
