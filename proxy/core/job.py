"""A job: an answer that its client does not wait for; how far it is, who may read it, how it is read."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b
from math import ceil, isfinite
from typing import Any

from proxy.core.reasons import Reason
from proxy.core.types import Entry, Headers, Request, Response
from proxy.core.views import view

KEEPS_S = 600.0
"""How long an answer stays after its end."""
CREDENTIALS = (b"authorization", b"cookie", b"proxy-authorization")
_ID = re.compile(r"[0-9a-f]{32}")
_LONGEST_PAUSE_S = 30
# Whoever keeps an answer below this path would hand it to those who have no credentials.
_FOR_CACHES = frozenset(
    {
        b"cache-control", b"cdn-cache-control", b"cloudflare-cdn-cache-control", b"frontrunner-cache-control",
        b"surrogate-control", b"expires", b"pragma",
    }
)  # fmt: skip
_WITHOUT_LENGTH = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is: what any process tells of it while one runs it. Times are wall clock, durations seconds.

    `asked_at` is when the upstream was asked, 0.0 where it was not yet; `expected_s` how long it takes for this key or
    rule; `place` how many are before it. `who` is the keyed hash of the fields `names` of the request that made it.
    """

    began: float
    names: tuple[str, ...] = ()
    who: str = ""
    asked_at: float = 0.0
    expected_s: float | None = None
    place: int | None = None

    def written(self) -> bytes:
        """Write it for other processes."""
        return json.dumps(asdict(self)).encode()

    def retry_after_s(self, now: float) -> int:
        """Return when to look again: as long as it should still take; past that, a tenth of what it took."""
        took = max(0.0, now - (self.asked_at or self.began))
        left = (self.expected_s or 0.0) - took
        return ceil(left) if left > 0 else min(max(1, ceil(took / 10)), _LONGEST_PAUSE_S)

    def answer(self, status: int, url: str, now: float) -> Response:
        """Return what is told of a job that still runs."""
        told: dict[str, Any] = {"state": "running", "elapsed_s": round(max(0.0, now - self.began), 3)}
        if self.expected_s is not None:
            told["expected_s"] = round(self.expected_s, 3)
        if self.place is not None:
            told["place"] = self.place
        body = json.dumps({**told, "url": url}).encode()
        fields = (
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"retry-after", b"%d" % self.retry_after_s(now)),
        )
        return Response(status, fields, body)


def read_progress(note: bytes) -> Progress | None:
    """Read what another process wrote; None where these bytes make no sense."""
    try:
        told = json.loads(note)
        progress = Progress(**{**told, "names": tuple(map(str, told["names"]))})
        times = (progress.began, progress.asked_at, progress.expected_s or 0.0, progress.place or 0)
        return progress if all(map(isfinite, times)) and isinstance(progress.who, str) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def is_id(text: str) -> bool:
    """Tell whether a job may be called so: 32 hex digits, which nobody guesses."""
    return _ID.fullmatch(text) is not None


def place_of(job_id: str) -> bytes:
    """Return the key of a job's result: who reads the store learns no job's id."""
    return blake2b(job_id.encode(), digest_size=20, person=b"frontrunner-job").digest()


def credential_names(private_by: Iterable[bytes]) -> tuple[bytes, ...]:
    """Return the fields that tell who asks, under a rule that keys by these."""
    return tuple(sorted({*CREDENTIALS, *private_by}))


def who_asks(headers: Headers, names: Iterable[bytes], job_id: str) -> str:
    """Return a hash of a request's credentials, keyed with the job's id: only those who know it could try some."""
    digest = blake2b(key=job_id.encode(), digest_size=16)
    for name in names:
        # services that get their fields as variables read `_` as `-`
        values = [value for field, value in headers if field.replace(b"_", b"-") == name]
        digest.update(b"%d:%b%d," % (len(name), name, len(values)))
        for value in values:
            digest.update(b"%d:%b," % (len(value), value))
    return digest.hexdigest()


def result_of(response: Response, body: bytes, progress: Progress, rule: str, now: float) -> Entry:
    """Return a finished job's answer as an entry: its `vary` and `tag` tell who may read it."""
    headers = response.headers
    if response.status not in _WITHOUT_LENGTH:
        headers = tuple([field for field in headers if field[0] != b"content-length"])
        headers = (*headers, (b"content-length", b"%d" % len(body)))
    names = tuple([name.encode() for name in progress.names])
    return Entry(
        response.status, headers, body, stored_at=now, ttl=KEEPS_S, cost=now - progress.began, rule=rule, vary=names,
        tag=progress.who.encode(),
    )  # fmt: skip


def delivered(request: Request, entry: Entry, now: float) -> Response:
    """Return the view of a finished job's answer that its client asked for; no cache keeps it."""
    kept = tuple([field for field in entry.headers if field[0] not in _FOR_CACHES])
    whole = Response(entry.status, (*kept, (b"cache-control", b"no-store")), entry.body)
    return view(request, whole, now)


def accepted(response: Response, url: str) -> Response:
    """Return the 202 for a client that does not wait (RFC 7240 §4.1)."""
    ours = ((b"location", url.encode()), (b"preference-applied", b"respond-async"))
    return replace(response, headers=(*response.headers, *ours))


TOO_LARGE: tuple[int, Reason, str] = (507, Reason.TOO_LARGE, "the answer is too large to be kept for its client")
ENDLESS: tuple[int, Reason, str] = (507, Reason.EVENT_STREAM, "a stream of events has no end to wait for")
