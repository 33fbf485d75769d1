"""What the answers to warming mean, and how they are added up."""

import pytest

from proxy.core.cache_status import forwarded, hit
from proxy.core.reasons import Reason
from proxy.core.types import Outcome, Response
from proxy.warm.outcome import Came, Result, Tally, result_of


def said(status, *members, problem=None):
    headers = tuple([(b"cache-status", member) for member in members])
    return result_of(Response(status, headers), problem or {})


RESULTS = {
    "stored": (said(200, forwarded(Outcome.MISS, None, stored=True)), Result(Came.STORED)),
    "stored anew": (said(200, forwarded(Outcome.EXPIRED, None, stored=True)), Result(Came.STORED)),
    "still good": (said(200, forwarded(Outcome.REVALIDATED, None, status=304, stored=True)), Result(Came.STORED)),
    "another asked already": (said(200, forwarded(Outcome.MISS, None, stored=True, collapsed=True)), Result(Came.STORED)),
    "stored though it is none": (said(404, forwarded(Outcome.MISS, None, stored=True)), Result(Came.STORED)),
    "there": (said(200, hit(60)), Result(Came.THERE)),
    "there, stale": (said(200, hit(-5)), Result(Came.THERE)),
    "not to be stored": (
        said(200, forwarded(Outcome.MISS, Reason.NO_STORE)), Result(Came.NOT_STORED, "no_store"),
    ),
    "passed through": (
        said(200, forwarded(Outcome.PASSTHROUGH, Reason.NO_RULE)), Result(Came.NOT_STORED, "no_rule"),
    ),
    "not found": (said(404, forwarded(Outcome.MISS, Reason.STATUS)), Result(Came.NOT_STORED, "status 404")),
    "the service failed": (said(500, forwarded(Outcome.MISS, Reason.STATUS)), Result(Came.FAILED, "500 status")),
    "no service": (said(502, problem={"reason": "upstream_refused"}), Result(Came.FAILED, "502 upstream_refused")),
    "no reason": (said(503), Result(Came.FAILED, "503")),
    "refused": (said(400, problem={"reason": "bad_request"}), Result(Came.NOT_STORED, "bad_request")),
    "nobody says": (said(200), Result(Came.NOT_STORED, "no Cache-Status")),
    "somebody else says": (said(200, b"Other; hit"), Result(Came.NOT_STORED, "no Cache-Status")),
    "others before us": (said(200, b"Origin; hit", b"Frontrunner; fwd=uri-miss; stored"), Result(Came.STORED)),
    "one of us before us": (said(200, b"Frontrunner; hit", b"Frontrunner; fwd=uri-miss; stored"), Result(Came.STORED)),
    "nonsense": (said(200, b"Frontrunner; ; hit"), Result(Came.NOT_STORED, "no Cache-Status")),
}  # fmt: skip


@pytest.mark.parametrize(("result", "wanted"), RESULTS.values(), ids=RESULTS)
def test_what_came_of_it(result, wanted):
    assert result == wanted


def test_a_tally_is_one_line():
    tally = Tally()
    assert str(tally) == "asked 0: 0 stored, 0 already there, 0 not stored, 0 failed"
    for name in ("stored", "stored now", "there", "not to be stored", "not to be stored", "not found", "no service"):
        tally.add(RESULTS.get(name, (Result(Came.STORED), None))[0])
    tally.before = 4
    tally.unasked["method"] += 2
    assert str(tally) == (
        "asked 7: 2 stored, 1 already there, 3 not stored (2 no_store, 1 status 404), 1 failed (1 502 upstream_refused), "
        "4 done before, 2 not asked (method)"
    )
