"""`frontrunner report LOG…`: files and stdin become one report; what cannot be read is said and ends with 2."""

import gzip
import json

import pytest
from log_events import EVENTS
from typer.testing import CliRunner

from proxy.cli import app
from proxy.core.format.json import Json
from proxy.core.schema.ecs import Ecs

LINE = b'{"event":"request","outcome":"hit","duration_s":1.0,"rule":"r"}\n'


def run(*arguments, **settings):
    return CliRunner().invoke(app, ["report", *map(str, arguments)], **settings)


@pytest.fixture
def logs(tmp_path):
    (tmp_path / "a.log").write_bytes(LINE * 2)
    (tmp_path / "a.log.1.gz").write_bytes(gzip.compress(LINE * 3))
    (tmp_path / "torn.gz").write_bytes(gzip.compress(LINE * 1000)[:-20])
    return tmp_path


def test_several_files_are_one_report(logs):
    result = run(logs / "a.log", logs / "a.log.1.gz", "-", input=LINE * 4)
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\n9 requests; hit ratio 100.0 %" in result.stdout


def test_json_has_the_same_numbers(logs):
    result = run(logs / "a.log", "--json")
    told = json.loads(result.stdout)
    assert (told["n"], told["operations"][0]["outcomes"][0]["max_s"]) == (2, 1.0)


def test_as_many_keys_are_named_as_asked_for(tmp_path):
    lines = "".join([json.dumps({**json.loads(LINE), "key_hash": f"k{one}"}) + "\n" for one in range(20)])
    (tmp_path / "log").write_text(lines)
    assert len(json.loads(run(tmp_path / "log", "--json").stdout)["slowest"]) == 10
    assert len(json.loads(run(tmp_path / "log", "--json", "--top", "3").stdout)["slowest"]) == 3


UNREADABLE = {"no-such": "No such file or directory", "": "Is a directory", "torn.gz": "the gzip file is cut"}


@pytest.mark.parametrize(("name", "why"), UNREADABLE.items())
def test_what_cannot_be_read_is_said_and_the_rest_is_reported(logs, name, why):
    result = run(logs / name, logs / "a.log")
    assert (result.exit_code, result.stderr) == (2, f"frontrunner report: {logs / name}: {why}\n")
    assert "requests; hit ratio 100.0 %" in result.stdout


def test_nothing_is_printed_where_nothing_could_be_read(logs):
    result = run(logs / "no-such")
    assert (result.exit_code, result.stdout) == (2, "")


def test_what_was_not_a_log_is_said(tmp_path):
    (tmp_path / "access.log").write_text('10.0.0.1 - - "GET / HTTP/1.1" 200 5\n' * 3)
    (tmp_path / "half.log").write_bytes((tmp_path / "access.log").read_bytes() + LINE)
    result = run(tmp_path / "half.log")
    assert "NOT READ: 3 of 4 lines are none of Frontrunner's log" in result.stdout
    assert result.exit_code == 0


ECS = b"".join(Json().render(Ecs().rename(fields)) for fields in EVENTS.values())


@pytest.mark.parametrize("content", [b"10.0.0.1 - GET\n", ECS], ids=["an access log", "another schema"])
def test_a_log_of_which_nothing_could_be_read_was_reported_on_as_if_it_were_empty(tmp_path, content):
    (tmp_path / "a.log").write_bytes(content)
    result = run(tmp_path / "a.log")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "frontrunner report: no line is one of Frontrunner's flat log (log.schema: flat, log.format: json)\n"
    )


@pytest.mark.parametrize("arguments", [[], ["--ab", "shop", "a.log"]], ids=["neither", "both"])
def test_either_logs_or_a_rule_is_wanted(arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "frontrunner report: either LOG files (- is stdin) or --ab RULE is wanted\n"


def test_how_far_it_is_is_shown_for_large_files_on_a_terminal_only(logs, monkeypatch):
    assert "reading" not in run(logs / "a.log").stderr
    monkeypatch.setattr("proxy.cli.log_report._LARGE_BYTES", 10)
    assert run(logs / "a.log").stderr == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert "2 requests" in run(logs / "a.log").stdout
