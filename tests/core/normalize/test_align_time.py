"""`align_time`: times floored to a step."""

import gc
import json
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from time import process_time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from proxy.core.normalize.align_time import AlignTime
from proxy.core.normalize.form import Form
from proxy.core.normalize.json import Json
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import ConfigError, Fallback
from proxy.plugins import load

NOW = 1767222003.155  # 2025-12-31T23:00:03.155Z


def aligned(value, now=NOW, **options):
    """Return what a parameter's value becomes."""
    one = AlignTime(names=("t",), **({"step": "15s"} | options))
    query = one.normalize(Query("GET", b"h", b"/", params=((b"t", value.encode()),), now=now))
    return query.params[0][1].decode()


VALUES = {
    "seconds": ("1767222017", "1767222015"),
    "seconds on a step": ("1767222015", "1767222015"),
    "seconds with digits behind the point": ("1767222014.999", "1767222000"),
    "milliseconds, known by their size": ("1767222003155", "1767222000000"),
    "milliseconds with digits behind the point": ("1767222015000.5", "1767222015000"),
    "microseconds": ("1767222003155000", "1767222000000000"),
    "nanoseconds": ("1767222003155000001", "1767222000000000000"),
    "the last second that is no millisecond": ("99999999999", "99999999990"),
    "the first millisecond": ("100000000000", "99999990000"),
    "nought": ("0", "0"),
    "a number below the step": ("14", "0"),
    "RFC 3339": ("2026-01-01T00:00:29Z", "2026-01-01T00:00:15Z"),
    "RFC 3339 on a step": ("2026-01-01T00:00:15Z", "2026-01-01T00:00:15Z"),
    "RFC 3339 with a fraction": ("2026-01-01T00:00:14.999999999999Z", "2026-01-01T00:00:00Z"),
    "RFC 3339 with a fraction of nought": ("2026-01-01T00:00:15.000Z", "2026-01-01T00:00:15Z"),
    "RFC 3339 in small letters": ("2026-01-01t00:00:29z", "2026-01-01T00:00:15Z"),
    "RFC 3339 with an offset, which it keeps": ("2026-01-01T01:00:29+01:00", "2026-01-01T01:00:15+01:00"),
    "RFC 3339 before 1970": ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:45Z"),
    "RFC 3339 in a year of three digits": ("0999-01-01T00:00:01Z", "0999-01-01T00:00:00Z"),
    "now": ("now", "1767222000"),
    "an hour ago": ("now-1h", "1767218400"),
    "milliseconds ago": ("now-4000ms", "1767221985"),
    "seconds ago": ("now-3s", "1767222000"),
    "minutes ahead": ("now+1m", "1767222060"),
    "days ago": ("now-2d", "1767049200"),
    "weeks ago": ("now-1w", "1766617200"),
}


@pytest.mark.parametrize(("value", "expected"), VALUES.values(), ids=VALUES)
def test_times(value, expected):
    assert aligned(value) == expected
    assert aligned(expected) == expected


STEPS = {
    "a step of a day": ("1d", "1767222003", "1767139200"),
    "an offset does not move the steps": ("1d", "2026-01-01T12:00:00+05:30", "2026-01-01T05:30:00+05:30"),
    "and none behind UTC": ("1h", "2025-12-31T20:29:59-03:30", "2025-12-31T19:30:00-03:30"),
    "a step below a second": ("250ms", "1767222003.999", "1767222003.75"),
    "a step below a second, in RFC 3339": ("250ms", "2026-01-01T00:00:00.9Z", "2026-01-01T00:00:00.75Z"),
    "a step of one and a half milliseconds": ("1.5ms", "1767222003155", "1767222003154.5"),
    "a step below a second, from now": ("100ms", "now", "1767222003.1"),
    "a step that nothing is a whole number of": ("7m", "1767222003", "1767221820"),
    "the shortest step": ("1ms", "1767222003.1239", "1767222003.123"),
    "the longest step": ("366d", "1767222003", "1739232000"),
}


@pytest.mark.parametrize(("step", "value", "expected"), STEPS.values(), ids=STEPS)
def test_steps(step, value, expected):
    assert aligned(value, step=step) == expected
    assert aligned(expected, step=step) == expected


UNKNOWN = {
    "words": "yesterday",
    "white space": " 1767222003",
    "a sign": "-1767222003",
    "an exponent": "1.767e9",
    "a nought in front": "01767222003",
    "a point in front": ".5",
    "a point behind": "5.",
    "twenty digits": "17672220031550000000",
    "digits that are not ASCII": "１７６７２２２００３",
    "a line's end": "1767222003\n",
    "a day": "2026-01-01",
    "no offset": "2026-01-01T00:00:29",
    "a blank for a T": "2026-01-01 00:00:29Z",
    "a day that is not there": "2026-02-30T00:00:29Z",
    "a month that is not there": "2026-13-01T00:00:29Z",
    "the year nought": "0000-01-01T00:00:29Z",
    "an hour too many": "2026-01-01T24:00:00Z",
    "a leap second": "2016-12-31T23:59:60Z",
    "an offset of a day": "2026-01-01T00:00:29+24:00",
    "now, rounded": "now/d",
    "an hour ago, rounded": "now-1h/h",
    "two steps from now": "now-1h-1m",
    "months ago": "now-1M",
    "years ago": "now-1y",
    "a unit that is not there": "now-1x",
    "no unit": "now-1",
    "no number": "now-h",
    "a part of an hour ago": "now-1.5h",
    "now, in capitals": "NOW",
    "now, with a blank for a plus": "now 1h",
    "before 1970": "now-60000d",
    "later than seconds are known": "now+2000000d",
    "nothing": "",
}


@pytest.mark.parametrize("value", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_no_time_stays(value):
    assert aligned(value) == value


def test_a_step_that_began_before_the_year_1():
    assert aligned("0001-01-01T00:00:01Z", step="366d") == "0001-01-01T00:00:01Z"


SAID = {
    "a number of seconds": ({}, "60", 60),
    "seconds with digits behind the point": ({}, "0.25", 0.25),
    "a duration": ({}, "5m", 300),
    "a number of milliseconds": ({"step_unit": "ms"}, "30000", 30),
    "a duration, whatever the unit": ({"step_unit": "ms"}, "30s", 30),
    "longer than the least": ({"step": "15s"}, "60", 60),
    "shorter than the least": ({"step": "15s"}, "1", 15),
    "no duration": ({"step": "15s"}, "often", 15),
    "nought": ({"step": "15s"}, "0", 15),
    "less than nothing": ({"step": "15s"}, "-60", 15),
    "not a number": ({"step": "15s"}, "nan", 15),
    "not finite": ({"step": "15s"}, "inf", 15),
    "an exponent": ({"step": "15s"}, "6e1", 15),
    "nothing": ({"step": "15s"}, "", 15),
    "below a millisecond": ({"step": "15s"}, "0.0009", 15),
    "above a year": ({"step": "15s"}, "31622401", 15),
}


@pytest.mark.parametrize(("options", "said", "seconds"), SAID.values(), ids=SAID)
def test_a_step_that_the_request_says(options, said, seconds):
    one = AlignTime(names=("t",), step_param="step", **options)
    query = one.normalize(Query("GET", b"h", b"/", params=((b"step", said.encode()), (b"t", b"1767222003155"))))
    assert query.params[0] == (b"step", said.encode())
    assert int(Fraction(query.params[1][1].decode())) == 1767222003155 // int(seconds * 1000) * int(seconds * 1000)

    one = AlignTime(names=("t",), step_path="$.steps[*]", **options)
    body = json.dumps({"steps": [None, said, [], True, 1.5, 1000]}).encode()
    steps = [seconds, *[number * (0.001 if "step_unit" in options else 1) for number in (1.5, 1000)]]
    query = one.normalize(Query("POST", b"h", b"/", params=((b"t", b"1767222003155"),), body=body))
    longest = int(max(steps) * 1000)
    assert (query.params[0][1], query.body) == (b"%d" % (1767222003155 // longest * longest), body)


NO_STEP = {
    "no parameter": ({"step_param": "step"}, b"t=1767222003&from=now", b'{"from":1767222003}'),
    "one without a value": ({"step_param": "step"}, b"t=1767222003&step", b'{"from": 1}'),
    "one that is not text": ({"step_param": "step"}, b"t=1767222003&step=%ff", b'{"from": 1}'),
    "no place": ({"step_path": "$.step"}, b"t=1767222003", b'{"from": 1767222003}'),
    "another shape": ({"step_path": "$.step[*]"}, b"t=1767222003", b'{"step": {"a": 60}}'),
}


@pytest.mark.parametrize(("options", "query", "body"), NO_STEP.values(), ids=NO_STEP)
def test_without_a_step_nothing_changes(options, query, body):
    asked = Query("POST", b"h", b"/", query, body=body)
    assert AlignTime(names=("t", "from"), paths=("$.from",), **options).normalize(asked) is asked


def test_parameters_of_the_query_and_of_the_form():
    asked = Query("POST", b"h", b"/", b"start=61&q=61&end=now&start=62", body=b"end=125&step=60", now=NOW)
    asked = replace(asked, media_type=b"application/x-www-form-urlencoded")
    one = AlignTime(names=("start", "e*"), step="15s", step_param="step")
    done = one.normalize(Form().normalize(asked))
    assert done.params == ((b"start", b"60"), (b"q", b"61"), (b"end", b"1767222000"), (b"start", b"60"))
    assert done.form == ((b"end", b"120"), (b"step", b"60"))


BODIES = {
    "numbers stay numbers": ('{"from":1767222003155,"to":"1767222003155"}', '{"from":1767222000000,"to":"1767222000000"}'),
    "the others stay": ('{"id":1767222003,"from":"now"}', '{"from":"1767222000","id":1767222003}'),
    "what is no time stays": ('{"from":null,"to":[1767222003]}', '{"from":null,"to":[1767222003]}'),
    "literals that are no times stay": ('{"from":1.767e9,"to":-5}', '{"from":1.767e9,"to":-5}'),
    "a body of another shape": ("[1767222003]", "[1767222003]"),
    "times in elements": ('{"r":[{"at":1767222003},{"at":"now-1h"},{}]}', '{"r":[{"at":1767222000},{"at":"1767218400"},{}]}'),
    "the body ends in its one form": (' {"b": 1, "a": "\\u0041"}', '{"a":"A","b":1}'),
    "no body": ("", ""),
}  # fmt: skip


@pytest.mark.parametrize(("body", "expected"), BODIES.values(), ids=BODIES)
def test_bodies(body, expected):
    one = AlignTime(paths=("$.from", "$.to", "$.r[*].at"), step="15s")
    asked = Query("POST", b"h", b"/", b"from=1767222003", body=body.encode(), now=NOW)
    assert one.normalize(asked) == replace(asked, body=expected.encode())


def test_a_document_that_is_nothing_but_a_time():
    one = AlignTime(paths=("$",), step="15s")
    assert one.normalize(Query("POST", b"h", b"/", body=b" 1767222003 ")).body == b"1767222000"


@pytest.mark.parametrize("options", [{"paths": ("$.a",), "step": "1s"}, {"names": ("a",), "step_path": "$.a"}], ids=str)
@pytest.mark.parametrize(
    ("media_type", "body", "reason"),
    [
        (b"", b"{", Reason.KEY_BODY_SYNTAX),
        (b"", b"[" * 1000, Reason.KEY_BODY_DEPTH),
        (b"text/plain;charset=latin1", b"{}", Reason.KEY_BODY_ENCODING),
    ],
)
def test_a_body_that_cannot_be_read(options, media_type, body, reason):
    with pytest.raises(Fallback) as fallback:
        AlignTime(**options).normalize(Query("POST", b"h", b"/", media_type=media_type, body=body))
    assert fallback.value.reason == reason


def test_a_body_that_no_option_names_is_not_read():
    one = AlignTime(names=("a",), step="1s")
    assert one.normalize(Query("POST", b"h", b"/", body=b"{")).body == b"{"


def test_before_or_after_json_the_key_is_one():
    panel = Json(ignore=("$.id",)), AlignTime(paths=("$.to",), step_path="$.queries[*].ms", step_unit="ms")
    asked = Query("POST", b"h", b"/", body=b'{ "to":"now", "id":1, "queries":[{"ms":15000},{"ms":60000}]}', now=NOW)
    one, other = panel[1].normalize(panel[0].normalize(asked)), panel[0].normalize(panel[1].normalize(asked))
    assert one == other
    assert one.body == b'{"queries":[{"ms":15000},{"ms":60000}],"to":"1767222000"}'


WRONG = {
    "no times": ({"step": "15s"}, ": found a mapping; .* .names or paths: at least one time has to be named"),
    "no step": (["start"], ": found a mapping; .* .step: how long one is has to be said, by step, step_param or step_path"),
    "a step that is no duration": ({"names": ["a"], "step": "often"}, ".step: found often; .* 'often' is not a duration"),
    "a step without its unit": ({"names": ["a"], "step": "60"}, ".step: found 60; .* '60' is not a duration"),
    "a step of nought": ({"names": ["a"], "step": "0s"}, ".step: found 0s; .* '0s' is not a duration of 1ms to 366d"),
    "a step of years": ({"names": ["a"], "step": "367d"}, ".step: found 367d; .* such as 15s, 5m, 1h"),
    "a number": ({"names": ["a"], "step": 60}, r".step: found 60; allowed: a text \(in quotes"),
    "a unit that is not there": ({"names": ["a"], "step_param": "b", "step_unit": "m"}, ".step_unit: found m; allowed: one of s, ms"),
    "what is no path": ({"paths": ["from"], "step": "1s"}, r".paths\[0\]: found from; .* is not a JSON path"),
    "a step at what is no path": ({"paths": ["$.a"], "step_path": "b"}, ".step_path: found b; .* is not a JSON path"),
    "a step that is a time": ({"names": ["s*"], "step_param": "step"}, ".step_param: found step; .* is named as a time as well"),
    "a step at a time": ({"paths": ["$.a[*]"], "step_path": "$.a[0]"}, r".step_path: found \$.a\[0\]; .* is named as a time"),
    "a word that is not there": ({"names": ["a"], "stop": "1s"}, "found stop; .*; did you mean step"),
}  # fmt: skip


@pytest.mark.parametrize(("options", "message"), WRONG.values(), ids=WRONG)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=f"align_time{message}" if message[0] in ".:" else message):
        load("normalize", {"align_time": options})


def test_a_step_may_be_beside_above_or_below_a_time():
    AlignTime(paths=("$.a.b", "$.a[0]", "$.c"), step_path="$.a")
    AlignTime(paths=("$.a[*].b", "$.a[*].c[0]"), step_path="$.a[*].c[1]")


def test_the_step_of_a_config():
    options = {"paths": ["$.from", "$.to"], "step": "15s", "step_path": "$.queries[*].intervalMs", "step_unit": "ms"}
    made = load("normalize", {"align_time": options}).made
    assert made == AlignTime((), ("$.from", "$.to"), "15s", "", "$.queries[*].intervalMs", "ms")


DURATIONS = st.integers(1, 10**8).map(lambda number: f"{number}ms") | st.sampled_from(
    ["0.0015s", "7s", "15s", "1h", "1d", "366d"]
)
MOMENTS = st.decimals(0, 10**11 - 1, allow_nan=False, places=3)


def milliseconds(step):
    return Fraction(AlignTime(names=("t",), step=step)._least_ns, 10**6)


@given(MOMENTS, DURATIONS)
@example(Decimal("1767222003.155"), "15s")
def test_numbers_are_floored_as_mathematics_say(moment, step):
    expected = Fraction(moment) * 1000 // milliseconds(step) * milliseconds(step)
    assert Fraction(aligned(str(moment), step=step)) * 1000 == expected
    if moment >= 10**8:
        assert Fraction(aligned(str(int(moment * 1000)), step=step)) == expected


OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@given(st.datetimes(datetime(1500, 1, 1), datetime(2500, 1, 1), timezones=OFFSETS), DURATIONS)
def test_dates_are_floored_as_numbers_are(moment, step):
    done = datetime.fromisoformat(aligned(moment.isoformat(timespec="microseconds"), step=step))
    assert done.utcoffset() == moment.utcoffset()
    began = datetime(1970, 1, 1, tzinfo=UTC)
    least = milliseconds(step) * 1000
    assert (done - began) // timedelta(microseconds=1) == (moment - began) // timedelta(microseconds=1) // least * least


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(1, 10**4))
def test_two_moments_are_one_exactly_if_they_fall_into_one_step(one, other, step):
    same = one // step == other // step
    for spell in (str, lambda at: f"{at}.5", lambda at: datetime.fromtimestamp(at, UTC).isoformat()):
        assert (aligned(spell(one), step=f"{step}s") == aligned(spell(other), step=f"{step}s")) is same
    assert (aligned("now", one, step=f"{step}s") == aligned("now", other, step=f"{step}s")) is same


TEXTS = st.text("0123456789.:-+TZnowhdms ", max_size=25) | st.from_regex(
    r"\A([0-9]{1,20}(\.[0-9]{1,21})?|[0-9]{4}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9](\.[0-9]+)?(Z|[+-][0-2][0-9]:[0-6][0-9])|now([+-][0-9]{1,10}[smhdw])?)\Z"
)  # fmt: skip


@given(TEXTS, DURATIONS, st.floats(0, 10**10))
def test_any_text_twice_is_as_once(text, step, now):
    once = aligned(text, now, step=step)
    assert aligned(once, now, step=step) == once


@example("now+1136952h", "", "s")
@given(TEXTS, TEXTS, st.sampled_from(["s", "ms"]))
def test_any_step_twice_is_as_once(text, step, unit):
    one = AlignTime(names=("t",), paths=("$.t",), step="7s", step_param="s", step_path="$.s", step_unit=unit)
    with suppress(Fallback):
        asked = Query("POST", b"h", b"/", params=((b"t", text.encode()), (b"s", step.encode())), now=NOW)
        once = one.normalize(replace(asked, body=json.dumps({"t": text, "s": step}).encode()))
        assert one.normalize(once) == once


def seconds_for(times):
    asked = Query("POST", b"h", b"/", body=json.dumps([1767222003 + number for number in range(times)]).encode())
    one = AlignTime(paths=("$[*]",), step="15s")
    gc.disable()  # what other tests left would be looked through again and again
    try:
        began = process_time()
        one.normalize(asked)
        return process_time() - began
    finally:
        gc.enable()


def test_ten_times_the_body_costs_about_ten_times_as_much():
    assert any(seconds_for(20_000) < 40 * seconds_for(2_000) for _ in range(3))
