"""`frontrunner tail`: a file, stdin or a proxy, filtered, one line each."""

import json
import os
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from log_events import EVENTS
from typer.testing import CliRunner

from proxy.cli import app
from proxy.core.format.json import Json
from proxy.core.schema.datadog import Datadog
from proxy.core.schema.ecs import Ecs
from proxy.core.schema.gcp import Gcp
from proxy.core.schema.otel import Otel

ROOT = Path(__file__).parents[2]


def line(number, **more):
    known = {
        "event": "request",
        "outcome": "hit",
        "status": 200,
        "method": "GET",
        "path": f"/{number}",
        "duration_s": 0.5,
    }
    return known | more


def written(*lines):
    return "".join([one if isinstance(one, str) else json.dumps(one) + "\n" for one in lines])


def run(*arguments, **settings):
    return CliRunner().invoke(app, ["tail", *map(str, arguments)], **settings)


def paths(result):
    assert (result.exit_code, result.stderr) == (0, "")
    return [word for word in result.stdout.split() if word.startswith("/")]


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log"
    path.write_text(written(*[line(number) for number in range(30)]))
    return path


def test_the_last_ten_lines_of_a_file(log):
    assert paths(run(log, "--no-follow")) == [f"/{number}" for number in range(20, 30)]


def test_as_many_as_asked_for(log):
    assert paths(run(log, "--no-follow", "-n", "2")) == ["/28", "/29"]
    assert paths(run(log, "--no-follow", "--last", "0")) == []


def test_the_last_ten_were_counted_before_anybody_asked_which_are_wanted(tmp_path):
    """A log whose last lines are hits began with no error at all."""
    path = tmp_path / "log"
    path.write_text(written(*[line(number, status=500 if number < 30 else 200) for number in range(3000)]))
    assert paths(run(path, "--no-follow", "--errors")) == [f"/{number}" for number in range(20, 30)]
    calls = [line(number, event="upstream_call" if number % 2 else "request") for number in range(100)]
    path.write_text(written(*calls))
    assert paths(run(path, "--no-follow", "-n", "3")) == ["/94", "/96", "/98"]
    with Told(calls) as there:
        asked = ("--no-follow", "-n", "2", "--path", "/?", "--url", there.url, "--token", "t")
        assert paths(run(*asked)) == ["/6", "/8"]


def test_stdin_is_read_to_its_end():
    assert paths(run("-", input=written(*[line(number) for number in range(30)]))) == [f"/{one}" for one in range(30)]


MIXED = written(
    line(1), line(2, rule="r", outcome="miss", duration_s=2.0), line(3, status=503, reason="slow"),
    line(4, event="upstream_call"), {"event": "ready", "url": "/ready"}, line(5, request_id="a"), line(4, event="upstream_call", request_id="a"),
)  # fmt: skip
FILTERS = {
    "none": ([], "/1 /2 /3 /5"),
    "--rule": (["--rule", "r"], "/2"),
    "--outcome": (["--outcome", "miss", "--outcome", "hit"], "/1 /2 /3 /5"),
    "--reason": (["--reason", "slow"], "/3"),
    "--status": (["--status", "5xx"], "/3"),
    "--path": (["--path", "/[12]"], "/1 /2"),
    "--request": (["--request", "a"], "/5 /4"),
    "--errors": (["--errors"], "/3"),
    "--slower-than": (["--slower-than", "1s"], "/2"),
    "--event": (["--event", "upstream_call"], "/4 /4"),
    "two kinds": (["--outcome", "hit", "--errors"], "/3"),
}


@pytest.mark.parametrize(("arguments", "shown"), FILTERS.values(), ids=FILTERS)
def test_filters(arguments, shown):
    assert paths(run("-", *arguments, input=MIXED)) == shown.split()


def test_lines_that_are_none_of_ours_are_shown_escaped_and_blank_ones_are_not():
    result = run("-", input="\x1b[2Jold text\n\n  \n" + written(line(1), "[1]\n") + "x" * 2_000_000 + "\n")
    first, second, third, fourth = result.stdout.splitlines()
    assert (first, third, fourth) == (r"? \x1b[2Jold text", "? [1]", "? (a line of more than 1 MiB)")
    assert "GET /1" in second


def test_lines_of_another_schema_are_none_of_ours(tmp_path):
    for schema in (Ecs(), Otel(), Datadog(), Gcp()):
        path = tmp_path / type(schema).__name__
        path.write_bytes(b"".join(Json().render(schema.rename(fields)) for fields in EVENTS.values()))
        shown = run(path, "--no-follow", "-n", "100").stdout.splitlines()
        assert [one[:3] for one in shown] == ["? {"] * len(EVENTS)


def test_what_is_written_and_what_takes_its_place_is_shown_until_one_interrupts(log):
    command = [sys.executable, "-m", "proxy", "tail", str(log), "-n", "1", "--path", "/[!x]*"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as running:
        assert "GET /29 " in running.stdout.readline()
        with log.open("a") as file:
            file.write(written(line("x"), line("later")))
        assert "GET /later " in running.stdout.readline()
        log.rename(log.with_suffix(".1"))
        log.write_text(written(line("anew")))
        assert "GET /anew " in running.stdout.readline()
        running.send_signal(signal.SIGINT)
        assert running.wait(20) == 130
        assert running.stdout.read() == ""


COLOURED = {
    "not a terminal": ([], {}, False),
    "always": (["--colour", "always"], {}, True),
    "always, though NO_COLOR": (["--colour", "always"], {"NO_COLOR": "1"}, True),
    "never": (["--colour", "never"], {}, False),
    "the other spelling": (["--color", "always"], {}, True),
}


@pytest.mark.parametrize(("arguments", "environment", "coloured"), COLOURED.values(), ids=COLOURED)
def test_colours(arguments, environment, coloured):
    result = run("-", *arguments, input=written(line(1)), env=environment, color=True)
    assert ("\x1b[32m" in result.stdout) == coloured


ON_A_TERMINAL = {"plain": ({}, True), "NO_COLOR": ({"NO_COLOR": "1"}, False), "a dumb one": ({"TERM": "dumb"}, False)}


@pytest.mark.parametrize(("environment", "coloured"), ON_A_TERMINAL.values(), ids=ON_A_TERMINAL)
def test_a_terminal_gets_colours_unless_it_does_not_want_them(log, environment, coloured):
    ours, theirs = os.openpty()
    clean = {name: value for name, value in os.environ.items() if name != "NO_COLOR"} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "proxy", "tail", str(log), "--no-follow", "-n", "1"]
    subprocess.run(command, stdout=theirs, env=clean | environment, cwd=ROOT, check=True, timeout=60)
    os.close(theirs)
    shown = os.read(ours, 10_000)
    os.close(ours)
    assert b"/29" in shown
    assert (b"\x1b[32m" in shown) == coloured


WRONG = {
    "a duration without its unit": (["-", "--slower-than", "5"], "--slower-than: found 5; allowed: a duration such as"),
    "no status": (["-", "--status", "6xx"], "--status: found 6xx; allowed: a status such as 404 or 5xx"),
    "no file": (["/no/such"], "/no/such: No such file or directory"),
}


@pytest.mark.parametrize(("arguments", "said"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_done_is_said_and_ends_with_2(arguments, said):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"frontrunner tail: {said}")


class Told(HTTPServer):
    """Stands where a proxy should: tells of requests from a list, from a cursor on."""

    def __init__(self, lines):
        super().__init__(("127.0.0.1", 0), Telling)
        self.lines = lines
        self.asked = []
        self.url = f"http://127.0.0.1:{self.server_port}"

    def __enter__(self):
        self._running = threading.Thread(target=self.serve_forever, args=(0.01,))
        self._running.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self._running.join()
        self.server_close()


class Telling(BaseHTTPRequestHandler):
    """One request to it."""

    def do_GET(self):
        target = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(target.query).items()}
        self.server.asked.append((target.path, asked))
        lines, n = self.server.lines, int(asked["n"])
        found = lines[int(asked["after"].strip("c &=")) :][:n] if "after" in asked else lines[-n:]
        end = lines.index(found[-1]) + 1 if found else len(lines)
        body = json.dumps({"requests": found, "cursor": f"c &={end}"}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def waits(monkeypatch):
    """Give what happens at each wait; an interrupt ends the last."""

    def given(*acts):
        rest = iter(acts)

        def sleep(seconds):
            assert seconds == 1.0
            act = next(rest, None)
            if act is None:
                raise KeyboardInterrupt
            act()

        monkeypatch.setattr("proxy.cli.tail.time.sleep", sleep)

    return given


def test_without_a_file_a_running_proxy_is_asked_and_asked_again(waits):
    lines = [{k: v for k, v in line(number).items() if k != "event"} for number in range(4)]
    with Told(lines) as there:
        waits(lambda: None, lambda: there.lines.extend(line(number) for number in range(4, 1200)))
        result = run("-n", "3", "--url", there.url, "--token", "t")
    assert result.exit_code == 130
    assert [word for word in result.stdout.split() if word.startswith("/")] == [
        f"/{number}" for number in range(1, 1200)
    ]
    assert result.stderr == ""
    assert there.asked == [
        ("/_frontrunner/requests", asked)
        for asked in (
            {"n": "100000"},
            {"after": "c &=4", "n": "500"},
            {"after": "c &=4", "n": "500"},
            {"after": "c &=504", "n": "500"},
            {"after": "c &=1004", "n": "500"},
        )
    ]


def test_filters_hold_for_a_proxy_too():
    with Told([line(1), line(2, outcome="miss")]) as there:
        assert paths(run("--no-follow", "--outcome", "miss", "--url", there.url, "--token", "t")) == ["/2"]
        assert paths(run("--no-follow", "-n", "0", "--url", there.url, "--token", "t")) == []


def test_lines_that_a_proxy_keeps_no_more_were_missing_without_a_word(waits, monkeypatch):
    answers = iter([{"requests": [line(1)], "cursor": "a"}, {"requests": [line(9)], "cursor": "b", "missed": True}])
    monkeypatch.setattr("proxy.cli.tail.sent", lambda *_: next(answers))
    waits(lambda: None)
    result = run("--token", "t")
    assert [word for word in result.stdout.split() if word.startswith("/")] == ["/1", "/9"]
    assert result.stderr == "… more may have ended than the proxy keeps, and are not shown (its log has all)\n"


def test_another_answer_is_told_and_ends_with_2(monkeypatch):
    monkeypatch.setattr("proxy.cli.tail.sent", lambda *_: {"requests": [], "next": 1})
    result = run("--token", "t")
    assert (result.exit_code, result.stderr) == (
        2, "frontrunner tail: the proxy is of another version and tells otherwise\n",
    )  # fmt: skip


def test_no_proxy_ends_with_3():
    assert run("--url", "http://127.0.0.1:9", "--token", "t").exit_code == 3
