"""Lines and calls → spans: names, attributes, status, links."""

import pytest

from proxy.core.log_line import ABANDONED, Call, LogLine, Purpose
from proxy.core.reasons import Reason
from proxy.core.span import MOST_TEXT, call_span, request_span
from proxy.core.trace_context import Begun, SpanContext
from proxy.core.types import Outcome

HERE, ABOVE, ELSEWHERE = (
    SpanContext("a" * 32, "1" * 16),
    SpanContext("a" * 32, "2" * 16),
    SpanContext("b" * 32, "3" * 16),
)
BEGUN = Begun(HERE, ABOVE, 100.0, scheme="https")
ID = "0" * 32


def line(method="GET", **known):
    one = LogLine(ID, method, "/a", 100.0, client_ip="192.0.2.7", **known)
    one.close(103.0)
    return one


def test_a_request_that_was_answered_from_the_store():
    span = request_span(line(rule="page", status=200, outcome=Outcome.HIT, age_s=7.0, bytes_out=5), BEGUN, HERE)
    assert (span.name, span.kind, span.context, span.parent) == ("GET page", "SERVER", HERE, ABOVE)
    assert (span.began, span.ended, span.failed, span.links) == (100.0, 103.0, False, ())
    assert span.attributes == {
        "http.request.method": "GET", "http.response.status_code": 200, "url.path": "/a", "url.scheme": "https",
        "client.address": "192.0.2.7", "http.request.body.size": 0, "http.response.body.size": 5,
        "frontrunner.request_id": ID, "frontrunner.rule": "page", "frontrunner.outcome": "hit",
        "frontrunner.upstream_calls": 0, "frontrunner.age_s": 7.0, "frontrunner.overhead_s": 3.0,
    }  # fmt: skip


def test_what_the_owner_has_shown_in_his_log_went_to_who_collects_the_traces():
    span = request_span(line(shown={"query_q": "alice@example.org", "header_x_user": "alice"}), BEGUN, HERE)
    assert "alice" not in str(span.attributes)


def test_a_scheme_that_nobody_knows_is_not_told():
    span = request_span(line(), Begun(HERE, ABOVE, 100.0), HERE)
    assert "url.scheme" not in span.attributes


NAMES = {
    "by its rule": ("GET", "page", "GET page", {"http.request.method": "GET"}),
    "of no rule": ("POST", None, "POST", {"http.request.method": "POST"}),
    "of a method that is not known": (
        "PROPFIND", "dav", "HTTP dav", {"http.request.method": "_OTHER", "http.request.method_original": "PROPFIND"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("method", "rule", "name", "told"), NAMES.values(), ids=NAMES)
def test_a_name_says_what_kind_of_request_it_is(method, rule, name, told):
    span = request_span(line(method, rule=rule), BEGUN, HERE)
    assert span.name == name
    assert {key: value for key, value in span.attributes.items() if key.startswith("http.request.method")} == told


FAILED = {
    "fine": ({"status": 200}, False, None),
    "the client's own fault": (
        {"status": 400, "error": Reason.BAD_REQUEST, "error_source": "client"}, False, "bad_request",
    ),
    "what is not there": ({"status": 404}, False, None),
    "the upstream's own 500": ({"status": 500}, True, "500"),
    "an upstream that failed": (
        {"status": 502, "error": Reason.UPSTREAM_RESET, "error_source": "upstream"}, True, "upstream_reset",
    ),
    "an answer that was cut": (
        {"status": 200, "error": Reason.UPSTREAM_CUT, "error_source": "upstream"}, True, "upstream_cut",
    ),
    "a fault of ours": ({"status": 500, "error": Reason.INTERNAL, "error_source": "proxy"}, True, "internal"),
}  # fmt: skip


@pytest.mark.parametrize(("known", "failed", "kind"), FAILED.values(), ids=FAILED)
def test_what_counts_as_failed(known, failed, kind):
    span = request_span(line(**known), BEGUN, HERE)
    assert (span.failed, span.attributes.get("error.type")) == (failed, kind)


CALL = Call("GET", "/a", 200, 101.0, 0.5, 102.0, 104.0, 10, 20, sent=1, span=Begun(HERE, ABOVE, 101.0, (ELSEWHERE,)))


@pytest.mark.parametrize(("flight", "links"), [("follow", (HERE,)), ("lead", ()), (None, ())])
def test_who_waited_for_anothers_call_is_linked_to_it(flight, links):
    assert request_span(line(call=CALL, flight=flight), BEGUN, HERE).links == links


def test_a_follower_of_what_was_fetched_elsewhere_has_no_link():
    assert request_span(line(call=Call(), flight="follow"), BEGUN, HERE).links == ()


def test_a_job_is_below_its_request():
    span = request_span(line(rule="page"), BEGUN, ABOVE, "job")
    assert (span.name, span.kind, span.context, span.parent) == ("job GET page", "INTERNAL", ABOVE, HERE)


def test_a_call():
    span = call_span(CALL, CALL.span, ID, {"server.address": "up"}, 200.0)
    assert (span.name, span.kind, span.context, span.parent) == ("GET", "CLIENT", HERE, ABOVE)
    assert (span.began, span.ended, span.failed, span.links) == (101.0, 104.0, False, (ELSEWHERE,))
    assert span.attributes == {
        "server.address": "up", "http.request.method": "GET", "http.response.status_code": 200, "url.path": "/a",
        "http.request.body.size": 20, "http.response.body.size": 10, "frontrunner.request_id": ID,
        "frontrunner.upstream_connect_s": 0.5, "frontrunner.upstream_ttfb_s": 1.0,
    }  # fmt: skip


CALLS = {
    "sent again": (Call("GET", "/", 200, sent=2), False, {"http.request.resend_count": 1}),
    "that waited": (Call("GET", "/", 200, queue_s=2.0), False, {"frontrunner.queue_s": 2.0}),
    "nobody asked for": (Call("GET", "/", 200, purpose=Purpose.REFRESH), False, {"frontrunner.purpose": "refresh"}),
    "that failed": (Call("GET", "/", error="upstream_reset"), True, {"error.type": "upstream_reset"}),
    "that all who waited for it have left": (
        Call("GET", "/", error=ABANDONED),
        False,
        {"frontrunner.reason": "abandoned"},
    ),
    "that was answered with a failure": (Call("GET", "/", 503), True, {"error.type": "503"}),
    "that was answered with 404": (Call("GET", "/", 404), False, {"http.response.status_code": 404}),
}


@pytest.mark.parametrize(("call", "failed", "told"), CALLS.values(), ids=CALLS)
def test_a_call_that_was_not_like_others(call, failed, told):
    span = call_span(call, BEGUN, ID, {}, 200.0)
    assert span.failed is failed
    assert told.items() <= span.attributes.items()


def test_a_call_that_goes_on_lasts_until_now():
    assert call_span(Call("GET", "/", began=100.0), BEGUN, ID, {}, 200.0).ended == 200.0


def test_no_text_is_long():
    one = LogLine(ID, "GET", "/" * 99_999, 0.0)
    assert request_span(one, BEGUN, HERE).attributes["url.path"] == "/" * MOST_TEXT
