"""ECS: each field is one that Elastic published, of its type, in the form that the ECS logging specification asks for."""

import json
from datetime import datetime
from ipaddress import ip_address

import pytest
from log_events import EVENTS, leaves

from proxy.core.format.json import Json
from proxy.core.schema import OWN
from proxy.core.schema.ecs import TABLES, VERSION, Ecs

# Facts from github.com/elastic/ecs, generated/elasticsearch/composable/component/*.json, as of ECS 9.3.0.
PUBLISHED = {
    "@timestamp": "date",
    "message": "match_only_text",
    "client.ip": "ip",
    "ecs.version": "keyword",
    "error.code": "keyword",
    "error.id": "keyword",
    "error.message": "match_only_text",
    "error.stack_trace": "wildcard",
    "error.type": "keyword",
    "event.action": "keyword",
    "event.dataset": "keyword",
    "event.duration": "long",
    "event.outcome": "keyword",
    "event.reason": "keyword",
    "http.request.body.bytes": "long",
    "http.request.bytes": "long",
    "http.request.id": "keyword",
    "http.request.method": "keyword",
    "http.response.body.bytes": "long",
    "http.response.bytes": "long",
    "http.response.status_code": "long",
    "log.level": "keyword",
    "log.logger": "keyword",
    "log.origin.file.line": "long",
    "log.origin.file.name": "keyword",
    "process.pid": "long",
    "service.name": "keyword",
    "service.version": "keyword",
    "trace.id": "keyword",
    "span.id": "keyword",
    "url.path": "wildcard",
}
OUTCOMES = {"failure", "success", "unknown"}  # what event.outcome may be
# Facts from github.com/elastic/ecs-logging, spec/spec.json, version 1.0.
REQUIRED = ("@timestamp", "log.level", "message", "ecs.version")
FIRST = ("@timestamp", "log.level", "message")  # by their index there
NEVER_NESTED = {"log.level"}

TYPES = {
    "date": lambda value: datetime.fromisoformat(value).tzinfo is not None,
    "ip": ip_address,
    "keyword": lambda value: type(value) is str and len(value) <= 1024,
    "long": lambda value: type(value) is int and abs(value) < 2**63,
    "match_only_text": lambda value: type(value) is str,
    "wildcard": lambda value: type(value) is str,
}

LINES = {
    "request": {
        "@timestamp": "2001-09-09T01:46:40.000000Z",
        "log.level": "error",
        "message": "POST /query 200 miss",
        "ecs": {"version": VERSION},
        "service": {"name": "frontrunner"},
        "event": {
            "dataset": "frontrunner.log", "action": "request", "outcome": "success", "reason": "no_ttl",
            "duration": 41_200_000_000,
        },
        "http": {
            "request": {"id": "0123456789abcdef0123456789abcdef", "method": "POST", "body": {"bytes": 12}},
            "response": {"status_code": 200, "body": {"bytes": 77}},
        },
        "trace": {"id": "4bf92f3577b34da6a3ce929d0e0e4736"}, "span": {"id": "00f067aa0ba902b7"},
        "client": {"ip": "192.0.2.7"},
        "url": {"path": "/query"},
        "error": {"type": "timeout"},
    },
    "upstream_call": {
        "@timestamp": "2001-09-09T01:46:40.000000Z",
        "log.level": "info",
        "message": "upstream_call POST /query 200",
        "ecs": {"version": VERSION},
        "service": {"name": "frontrunner"},
        "event": {
            "dataset": "frontrunner.log", "action": "upstream_call", "outcome": "success", "duration": 41_000_000_000,
        },
        "http": {
            "request": {"id": "0123456789abcdef0123456789abcdef", "method": "POST", "body": {"bytes": 12}},
            "response": {"status_code": 200, "body": {"bytes": 77}},
        },
        "url": {"path": "/query"},
        "frontrunner": {"upstream_connect_s": 0.25, "upstream_ttfb_s": 0.5},
    },
}  # fmt: skip


def written(name):
    return json.loads(Json(Ecs().rename).render(EVENTS[name]))


@pytest.mark.parametrize("name", EVENTS)
def test_every_ecs_field_is_a_published_one_of_its_type(name):
    """A field of another type makes Elasticsearch refuse the whole document."""
    fields = [(field, value) for field, value in leaves(written(name)) if not field.startswith(OWN + ".")]
    assert [field for field, _ in fields if field not in PUBLISHED] == []
    assert [field for field, value in fields if not TYPES[PUBLISHED[field]](value)] == []


def test_every_ecs_row_is_a_published_one():
    tables = (TABLES.every, *TABLES.events.values())
    assert {name for table in tables for rows in table.values() for name, _ in rows} <= set(PUBLISHED)


@pytest.mark.parametrize("name", EVENTS)
def test_an_ecs_line_is_as_ecs_loggers_write_it(name):
    line = written(name)
    assert tuple(line)[:3] == FIRST
    assert {field for field, _ in leaves(line)} >= set(REQUIRED)
    assert {field for field in line if "." in field} == NEVER_NESTED


@pytest.mark.parametrize("name", LINES)
def test_an_ecs_line(name):
    line = written(name)
    del line["process"], line["service"]["version"]
    own = line.pop(OWN)
    assert line == {field: value for field, value in LINES[name].items() if field != OWN}
    assert own.items() >= LINES[name].get(OWN, {"outcome": "miss", "queue_s": 0.5}).items()


@pytest.mark.parametrize(
    ("name", "outcome"), {"request": "success", "failed call": "failure", "hit": "success"}.items()
)
def test_the_ecs_outcome_is_one_of_ecs(name, outcome):
    assert written(name)["event"]["outcome"] == outcome
    assert outcome in OUTCOMES


def test_an_error_in_ecs_names_its_place():
    line = written("error")
    assert line["error"] == {"message": "ValueError('no')"}
    assert line["log"] == {"origin": {"file": {"name": "/srv/proxy/serve.py", "line": 42}}}
    assert written("error of a library")["log"] == {"logger": "aiohttp.client"}


def test_the_path_of_a_decision_is_no_url():
    assert written("decision of a difference")[OWN]["path"] == "$.a[0]"
