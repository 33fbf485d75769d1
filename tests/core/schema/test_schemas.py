"""Log schemas: one contract for all of them – nothing raises, no field is lost – the units, and the guide's table."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from log_events import EVENTS
from odd_fields import NAMES, VALUES, Broken, is_one_line, trees

from proxy import plugins
from proxy.core import schema
from proxy.core.format.json import Json
from proxy.core.log_fields import ORDER
from proxy.core.schema import OWN, Row, Tables, datadog, ecs, gcp, nested, otel, summary
from proxy.core.types import Outcome

SCHEMAS = {word: plugins.find("schema", word)() for word in plugins.catalogue("schema")}
TABLES = {"ecs": ecs.TABLES, "otel": otel.TABLES, "datadog": datadog.TABLES, "gcp": gcp.TABLES}
KNOWN = sorted({*ORDER, "message", "logger", "where", "count"})
KINDS = ["request", "job", "upstream_call", "error", "decision"]
GUIDE = (Path(__file__).parents[3] / "proxy" / "docs" / "reference.md").read_text()


@pytest.fixture(params=SCHEMAS.values(), ids=SCHEMAS)
def told(request):
    return Json(request.param.rename)


# No line breaks, whatever it holds.


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_field_may_hold_anything_under_any_schema(told, kind, value):
    fields = {**dict.fromkeys(KNOWN, value), "new": value, "event": kind}
    is_one_line(told.render(fields))
    is_one_line(told.render({**fields, "event": value}))


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_field_may_have_any_name_under_any_schema(told, name):
    is_one_line(told.render({"event": "request", name: 1}))


def test_a_line_without_fields_is_one_under_any_schema(told):
    is_one_line(told.render({}))


@given(fields=st.dictionaries(st.sampled_from(KNOWN) | st.text(), trees, max_size=4), kind=st.sampled_from(KINDS))
@pytest.mark.parametrize("word", SCHEMAS)
def test_any_tree_is_one_line_under_any_schema(word, fields, kind):
    is_one_line(Json(SCHEMAS[word].rename).render({**fields, "event": kind}))


# No field is lost.


@pytest.mark.parametrize("kind", KINDS)
def test_every_value_is_in_the_line(told, kind):
    """Also where it is of another type than expected: each of these texts is told from the others."""
    fields = {**{name: f"value {number}." for number, name in enumerate([*KNOWN, "new"])}, "event": kind}
    written = told.render(fields).decode()
    assert [name for name, value in fields.items() if value not in written] == []


@given(
    names=st.lists(st.sampled_from(KNOWN) | st.text(), unique=True, max_size=8).filter(
        lambda names: "event" not in names
    ),
    kind=st.sampled_from(KINDS),
)
@pytest.mark.parametrize("word", SCHEMAS)
def test_no_name_hides_another(word, names, kind):
    fields = {**{name: f"value {number}." for number, name in enumerate(names)}, "event": kind}
    written = Json(SCHEMAS[word].rename).render(fields).decode()
    assert [name for name, value in fields.items() if value not in written] == []


@pytest.mark.parametrize("name", EVENTS)
def test_what_no_row_is_for_keeps_its_name_and_value(name):
    """Below the one name of ours: no standard's field can be hit by it."""
    for word, tables in TABLES.items():
        known, own = tables.told(EVENTS[name])
        table = tables.events.get(EVENTS[name]["event"], tables.every)
        for field, value in EVENTS[name].items():
            assert field in table or own[field] is value, (word, field)
        assert OWN not in known


@pytest.mark.parametrize("word", ["ecs", "datadog", "gcp"])
def test_no_name_is_a_branch_of_another(word):
    """A tree holds a value or branches at a place, not both; no table writes below our own name."""
    tables = TABLES[word]
    for table in (tables.every, *tables.events.values()):
        names = [name for rows in table.values() for name, _ in rows]
        assert sorted(set(names)) == sorted(names), "two fields of one event have one name"
        assert not [(one, other) for one in names for other in names if other.startswith(one + ".")]
        assert not [name for name in names if name.startswith(OWN)]


def test_what_is_kept_stands_beside_what_was_made_of_it():
    made = SCHEMAS["gcp"].rename({"event": "request", "outcome": "hit"})
    assert (made["httpRequest"]["cacheHit"], made[OWN]["outcome"]) == (True, "hit")


def test_a_field_of_another_type_stays_ours():
    fields = {"event": "request", "status": "odd", "duration_s": True, "client_ip": "unix:", "path": 5}
    for word in ("ecs", "datadog"):
        assert SCHEMAS[word].rename(fields)[OWN] == {name: fields[name] for name in fields if name != "event"}


# The units.

UNITS = {
    "seconds": (schema.nanoseconds, 41.2, 41_200_000_000),
    "a microsecond": (schema.nanoseconds, 0.000001, 1_000),
    "a whole second": (schema.nanoseconds, 1, 1_000_000_000),
    "no seconds": (schema.nanoseconds, 0.0, 0),
    "too long for 64 bits": (schema.nanoseconds, 1e10, None),
    "no number": (schema.nanoseconds, float("nan"), None),
    "infinity": (schema.nanoseconds, float("inf"), None),
    "true is no second": (schema.nanoseconds, True, None),
    "text is no second": (schema.nanoseconds, "41.2", None),
    "a duration": (schema.duration, 41.2, "41.2s"),
    "a short duration": (schema.duration, 0.00002, "0.00002s"),
    "a round duration": (schema.duration, 40.0, "40s"),
    "ten seconds keep their nought": (schema.duration, 10, "10s"),
    "no duration": (schema.duration, 0, "0s"),
    "longer than a Duration may be": (schema.duration, 4e11, None),
    "a huge duration": (schema.duration, 10**400, None),
    "a time": (schema.unix_nanoseconds, "2001-09-09T01:46:40.000001Z", "1000000000000001000"),
    "a time elsewhere": (schema.unix_nanoseconds, "2001-09-09T03:46:40+02:00", "1000000000000000000"),
    "a time without its zone": (schema.unix_nanoseconds, "2001-09-09T01:46:40", None),
    "a time before 1970": (schema.unix_nanoseconds, "1969-12-31T23:59:59Z", None),
    "no time": (schema.unix_nanoseconds, "noon", None),
    "a number is no time": (schema.unix_nanoseconds, 5, None),
    "a number of 64 bits": (schema.whole, 2**63 - 1, 2**63 - 1),
    "one of more": (schema.whole, 2**63, None),
    "true is no number": (schema.whole, True, None),
    "a fraction is no whole number": (schema.whole, 1.0, None),
    "a whole number as text": (schema.whole_text, 77, "77"),
    "nought as text": (schema.whole_text, 0, "0"),
    "a fraction as text": (schema.whole_text, 7.5, None),
    "an address": (schema.address, "192.0.2.7", "192.0.2.7"),
    "a new address": (schema.address, "2001:db8::7", "2001:db8::7"),
    "an address with its zone": (schema.address, "fe80::1%eth0", None),
    "no address": (schema.address, "", None),
    "a number is no address": (schema.address, 7, None),
    "a trace id": (schema.trace_id, "0a" * 16, "0a" * 16),
    "a trace id of noughts": (schema.trace_id, "0" * 32, None),
    "a short trace id": (schema.trace_id, "0a" * 15, None),
    "a trace id in capitals": (schema.trace_id, "0A" * 16, None),
    "a file": (schema.file_of, "/srv/a:b.py:42", "/srv/a:b.py"),
    "a line": (schema.line_of, "/srv/a:b.py:42", 42),
    "a file without a line": (schema.file_of, "/srv/a.py", None),
    "a line that is none": (schema.line_of, "/srv/a.py:x", None),
    "a line in other digits": (schema.line_of, "/srv/a.py:٤", None),
    "an error is a failure": (schema.failure, Outcome.ERROR, "failure"),
    "anything else is none": (schema.failure, "passthrough", "success"),
    "a number is neither": (schema.failure, 1, None),
    "text": (schema.text, "a", "a"),
    "no text": (schema.text, b"a", None),
    "a word": (schema.word_of({"a": 1}), "a", 1),
    "an unknown word": (schema.word_of({"a": 1}), "b", None),
    "a list is no word": (schema.word_of({"a": 1}), [], None),
}


@pytest.mark.parametrize(("convert", "value", "made"), UNITS.values(), ids=UNITS)
def test_units(convert, value, made):
    assert (convert(value), type(convert(value))) == (made, type(made))


@given(st.integers(0, 10**12))
def test_no_microsecond_is_lost(microseconds):
    assert schema.nanoseconds(round(microseconds / 10**6, 6)) == microseconds * 1000


# What a line says to a person.

SUMMARIES = {
    "request": "POST /query 200 miss",
    "upstream_call": "upstream_call POST /query 200",
    "failed call": "upstream_call GET /a timeout",
    "job": "POST /query 200 miss",
    "ready": "ready",
    "error": "ValueError('no')",
    "another": "another",
}


@pytest.mark.parametrize(("name", "said"), SUMMARIES.items())
def test_a_line_without_a_message_is_told_in_a_few_words(name, said):
    assert summary(EVENTS[name]) == said


def test_words_that_are_none_are_left_out():
    assert (
        summary({"event": "request", "method": Broken(), "path": b"/a", "status": 10**5000, "outcome": "hit"}) == "hit"
    )
    assert summary({"event": [], "path": "/a"}) == ""


@pytest.mark.parametrize(("word", "at"), {"ecs": "message", "datadog": "message", "gcp": "message"}.items())
def test_a_message_stays_the_message(word, at):
    assert SCHEMAS[word].rename(EVENTS["config"])[at] == "the config was reloaded"
    assert SCHEMAS[word].rename(EVENTS["request"])[at] == SUMMARIES["request"]


# Trees and tables.


def test_dots_nest_but_before_a_slash_and_in_whole_names():
    known = {"a.b": 1, "a.c.d": 2, "e": 3, "x.test/y": 4, "x.test/z.f": 5, "log.level": 6}
    assert nested(known, {"a.b": 7}, whole=("log.level",)) == {
        "a": {"b": 1, "c": {"d": 2}}, "e": 3, "x.test/y": 4, "x.test/z": {"f": 5}, "log.level": 6, OWN: {"a.b": 7},
    }  # fmt: skip
    assert nested({}, {}) == {}


def test_later_rows_of_an_event_stand_for_earlier_ones():
    tables = Tables(
        (Row("a", "every", schema.text), Row("b", "other", schema.text)),
        one=((Row("a", "one", schema.text), Row("a", "twice", schema.text)),),
        two=((Row("a", "one", schema.text),), (Row("a", "two", schema.text),)),
    )
    told = {event: tables.told({"event": event, "a": "x", "b": "y"})[0] for event in ("one", "two", "three")}
    assert told == {
        "one": {"one": "x", "twice": "x", "other": "y"},
        "two": {"two": "x", "other": "y"},
        "three": {"every": "x", "other": "y"},
    }


# The guide.

NOTES = {
    schema.nanoseconds: "ns",
    schema.duration: "`41.2s`",
    schema.unix_nanoseconds: "ns, as text",
    schema.whole_text: "as text",
    schema.failure: "`success`, `failure`",
}


def cell(rows):
    return ", ".join(f"`{name}`" + (f" ({NOTES[convert]})" if convert in NOTES else "") for name, convert in rows)


def table_of_the_guide():
    """Yield the rows: a field under each schema, and once more for events in which it is something else."""
    events = ["", "request", "job", "upstream_call", "error"]
    fields = [*ORDER, "message", "logger", "where"]
    for field in fields:
        by_cells = {}
        for event in events:
            cells = tuple(cell(one.events.get(event, one.every).get(field, ())) for one in TABLES.values())
            by_cells.setdefault(cells, []).append(event)
        for cells, of in by_cells.items():
            if any(cells):
                where = "" if "" in of else " of " + ", ".join(f"`{event}`" for event in of)
                yield f"| `{field}`{where} | " + " | ".join(cells) + " |"


def test_the_guide_has_the_names_of_all_schemas():
    section = next(part for part in re.split(r"^## ", GUIDE, flags=re.MULTILINE) if part.startswith("Log schemas\n"))
    assert re.findall(r"^\| .*", section, flags=re.MULTILINE)[1:] == list(table_of_the_guide())


def test_the_guide_has_the_constants_of_all_schemas():
    section = GUIDE.split("## Log schemas")[1].split("\n## ")[0]
    for one in (ecs, otel, datadog, gcp):
        for name, value in one.ALWAYS.items():
            assert f"`{name}`" in section, name
            assert f"`{value}`" in section, value
