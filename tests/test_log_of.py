"""The log that a config asks for."""

import json

import pytest
from fakes import FakeClock
from log_events import line
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

import proxy
from proxy import plugins
from proxy.config import from_mapping
from proxy.core.log_line import Call
from proxy.errors import StartError
from proxy.log_of import FORMATS, log_of

SCHEMAS = plugins.catalogue("schema")


def config(**log):
    return from_mapping({"upstream": "http://127.0.0.1:9", "log": log}, {})


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_that_the_config_knows_is_written_to_a_file(form, tmp_path):
    file = tmp_path / "log"
    log = log_of(config(to=str(file), format=form), FakeClock())
    log.events.info("config", message="hello")
    log.close()
    (line,) = file.read_text().splitlines()
    assert "hello" in line
    assert line.startswith("{") is (form == "json")


def test_the_formats_are_the_files_of_their_folder():
    assert set(FORMATS) == set(plugins.catalogue("format"))


def written(file, **log):
    made = log_of(config(to=str(file), **log), FakeClock())
    made.request(line())
    made.upstream_call(Call("GET", "/a", 200, ended=1.0), "ab" * 16)
    made.events.warning("config", message="lone \ud800 surrogate", odd={1: {2}})
    made.close()
    return file.read_text().splitlines()


@pytest.mark.parametrize("schema", SCHEMAS)
def test_each_schema_that_the_config_knows_has_a_line_for_each_event(schema, tmp_path):
    lines = [json.loads(one) for one in written(tmp_path / "log", schema=schema)]
    assert len(lines) == 3
    assert "POST" in json.dumps(lines[0])
    assert "upstream_call" in json.dumps(lines[1])
    assert "lone \\\\ud800 surrogate" in json.dumps(lines[2])


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_console_line_is_flat_whatever_the_schema(schema, tmp_path):
    told = written(tmp_path / "log", format="console", schema=schema)
    assert told == written(tmp_path / "flat", format="console")
    assert told[0].startswith("2001-09-09T01:46:40.000000Z error request POST /query 200 miss 41.2 ")


SAID = {  # schema → how its request line and its upstream_call line say what they are, and how long it took
    "flat": lambda told: (told["event"], told["method"], told["duration_s"]),
    "ecs": lambda told: (told["event"]["action"], told["http"]["request"]["method"], told["event"]["duration"]),
    "datadog": lambda told: (told["evt"]["name"], told["http"]["method"], told["duration"]),
    "gcp": lambda told: (
        told["frontrunner"]["event"], told["httpRequest"]["requestMethod"], told["httpRequest"]["latency"].strip("s")
    ),
    "otel": lambda told: _of_record(told["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0]),
}  # fmt: skip


def _of_record(record):
    named = {one["key"]: next(iter(one["value"].values())) for one in record["attributes"]}
    return (
        record["eventName"].removeprefix("frontrunner."), named["http.request.method"], named["frontrunner.duration_s"]
    )  # fmt: skip


def test_every_schema_is_tried():
    assert set(SAID) == set(SCHEMAS)


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_request_through_the_app_leaves_its_lines_under_the_schema(schema, tmp_path):
    file = tmp_path / "log"
    site = {"log": {"to": str(file), "schema": schema}, "admin": {"token": "t"}, "store": {"disk": "off"}}
    inner = Starlette(routes=[Route("/page", lambda _: PlainTextResponse("hello"))])
    with TestClient(proxy.Frontrunner(inner, site)) as client:
        assert client.get("/page").text == "hello"
    said = [
        SAID[schema](told) for told in map(json.loads, file.read_text().splitlines()) if "/page" in json.dumps(told)
    ]
    assert sorted((event, method) for event, method, _ in said) == [("request", "GET"), ("upstream_call", "GET")]
    assert [took for _, _, took in said if float(took) <= 0] == []


def test_a_place_that_cannot_be_written_is_a_reason_not_to_start(tmp_path):
    with pytest.raises(StartError, match="cannot write the log"):
        log_of(config(to=str(tmp_path)), FakeClock())


def test_off_writes_nothing(capfd):
    log = log_of(config(to="off"), FakeClock())
    log.events.info("config", message=json.dumps("hello"))
    log.close()
    assert capfd.readouterr().out == ""
