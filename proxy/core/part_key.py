"""Cut → keys: of each part of a request, and of what stands around the parts in its answers.

Both begin with the key of the cut's frame, an ordinary key of the request without its parts (`key_of(query_of(…))`):
what keeps two requests apart keeps their parts apart.
"""

from collections.abc import Sequence
from hashlib import blake2b

from proxy.core.composite import Part, pack
from proxy.core.merge import Merge
from proxy.core.split import Splitter
from proxy.core.types import DIGEST_BYTES


def signature(by: Splitter, merge: Merge, generation: int = 0) -> bytes:
    """Return a digest of what decides the meaning of parts: the plug-ins, their options and versions.

    Nothing that was kept under one `generation` is found under another.
    """
    names = [(type(one).__module__, type(one).__qualname__, one.version) for one in (by, merge)]
    return blake2b(repr((names, by, merge, generation)).encode(), digest_size=8).digest()


def part_keys(frame_key: bytes, signature: bytes, parts: Sequence[Part]) -> list[bytes]:
    """Return the keys of parts, digests of 20 bytes; equal parts have equal keys."""
    begun = blake2b(pack([b"part", frame_key, signature]), digest_size=DIGEST_BYTES)
    keys = []
    for part in parts:
        digest = begun.copy()
        digest.update(part.identity)  # the last piece needs no length
        keys.append(digest.digest())
    return keys


def around_key(frame_key: bytes, signature: bytes) -> bytes:
    """Return the key of the frame of answers, a digest of 20 bytes."""
    return blake2b(pack([b"frame", frame_key, signature]), digest_size=DIGEST_BYTES).digest()
