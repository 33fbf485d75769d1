"""What a line tells of a request that was only observed, where that is not known in full."""

import pytest
from fakes import NOON, Body
from world import asked, rule

from proxy.asked import Asked
from proxy.copied import Copied
from proxy.core.freshness import Act, Verdict
from proxy.core.key import Scope, key_of, query_of
from proxy.core.log_line import LogLine
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Outcome, Response
from proxy.observation import Observation, note
from proxy.places import Found

HIT, EXPIRED = Verdict(Act.DELIVER, Outcome.HIT), Verdict(Act.FETCH, Outcome.EXPIRED)


def observed(verdict=None, response=None, body=None, **line):
    """Return what is known of a request for an entry of three bytes that cost 4 s, and is good for another minute on errors."""
    request, kept = asked(), rule(error=60.0)
    told = LogLine("id", "GET", "/", 0.0, **line)
    one = Observation(request, request, kept, b"site.test", told, NOON, lambda one, tell: tell())
    one.verdict, one.response, one.body = verdict, response, body
    ttl = 10.0 if verdict is HIT else -1.0
    query = query_of(request, kept, b"site.test", b"")
    key = key_of(query, Scope.of("", "", kept, b""))
    one.found = Found(key, query, key, key, key, Entry(200, (), b"one", NOON, ttl, cost=4.0, error=60.0))
    one.asked = Asked(request, kept, b"site.test", {}, LogLine("id", "GET", "/", 0.0, key_hash="k"))
    return one


def noted(one):
    note(one)
    line = one.line
    return line.would, line.would_reason, line.would_save_s, line.would_differ


def test_nothing_is_told_of_what_nobody_judged():
    one = observed()
    assert noted(one) == (None, None, None, None)
    assert one.line.key_hash == "k"


NOT_COMPARED = {
    "no answer": (None, None),
    "an answer that goes on": (Response(200), Copied(Body(ends=False), 10, None)),
    "the same in bytes": (Response(200, (), b"one"), None),
}


@pytest.mark.parametrize(("response", "body"), NOT_COMPARED.values(), ids=NOT_COMPARED)
def test_a_hit_is_a_hit_whatever_the_upstream_says(response, body):
    assert noted(observed(HIT, response, body)) == (Outcome.HIT, None, 4.0, None)


def test_an_answer_in_bytes_is_compared():
    assert noted(observed(HIT, Response(200, (), b"two"))) == (Outcome.HIT, None, 4.0, True)


FAILURES = {
    "the call failed": ({"error": "upstream_reset", "error_source": "upstream"}, None, "upstream_reset"),
    "the answer is a failure": ({}, Response(503), Reason.STATUS),
}


@pytest.mark.parametrize(("line", "response", "reason"), FAILURES.values(), ids=FAILURES)
def test_a_stale_answer_would_have_stood_in(line, response, reason):
    assert noted(observed(EXPIRED, response, **line)) == (Outcome.STALE, reason, 4.0, None)


@pytest.mark.parametrize("source", ["client", "proxy"])
def test_for_no_other_failure_does_a_stale_one_stand_in(source):
    assert noted(observed(EXPIRED, error="x", error_source=source)) == (Outcome.EXPIRED, None, None, None)


def test_its_end_is_who_settles_it():
    told = []
    observed().end(lambda: told.append(1))
    assert told == [1]
