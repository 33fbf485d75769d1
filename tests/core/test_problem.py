"""What we could not do → problem+json (RFC 9457)."""

import json

import pytest

from proxy.core.problem import problem
from proxy.core.reasons import Reason

ID = "0123456789abcdef0123456789abcdef"


def test_a_problem_in_full():
    response = problem(502, Reason.UPSTREAM_REFUSED, "nobody listens", ID, 3)
    assert json.loads(response.body) == {
        "type": "urn:frontrunner:upstream_refused",
        "title": "Bad Gateway",
        "status": 502,
        "detail": "nobody listens",
        "request_id": ID,
        "reason": "upstream_refused",
        "retry_after_s": 3,
    }
    assert response.status == 502
    assert response.headers == (
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(response.body)),
        (b"cache-control", b"no-store"),
        (b"x-request-id", ID.encode()),
    )


@pytest.mark.parametrize("status", [400, 408, 414, 431, 500, 501, 508])
def test_where_coming_back_does_not_help_no_time_is_told(status):
    told = json.loads(problem(status, Reason.BAD_REQUEST, "", ID).body)
    assert "retry_after_s" not in told
    assert told["title"]


@pytest.mark.parametrize("detail", ['"', "\n", "é", "\ud800", "</script>\x1b[31m"])
def test_a_detail_may_hold_anything(detail):
    response = problem(400, Reason.BAD_REQUEST, detail, ID)
    assert response.body.isascii()
    assert json.loads(response.body)["detail"] == detail


def test_where_the_answer_will_be():
    response = problem(504, Reason.WAIT_OVER, "", ID, 3, "/_frontrunner/jobs/1")
    assert json.loads(response.body)["job"] == "/_frontrunner/jobs/1"
    assert response.headers[-1] == (b"link", b'</_frontrunner/jobs/1>; rel="status"')
    assert "job" not in json.loads(problem(504, Reason.UPSTREAM_TIMEOUT, "", ID, 3).body)


@pytest.mark.parametrize(("status", "told"), [(503, b"7"), (502, None), (504, None)])
def test_who_is_turned_away_for_now_is_told_when_to_come_again_in_a_field_too(status, told):
    """RFC 9110 §10.2.3 names 503; a failure's guess stands in the body alone."""
    assert problem(status, Reason.QUEUE_FULL, "full", "1" * 32, 7).header(b"retry-after") == told
