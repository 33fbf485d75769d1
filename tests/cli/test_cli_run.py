"""`frontrunner run` turns flags into a config, and every way of not starting into its exit code."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.errors import StartError

LEGACY = "http://legacy:8000"


@pytest.fixture
def ran(monkeypatch):
    """Run the command up to where the server would start; return the config that it would serve."""
    served = []
    monkeypatch.setattr("proxy.run.run", lambda config, load: served.append(config) or 0)

    def run(*arguments):
        result = CliRunner().invoke(app, ["run", *arguments])
        assert (result.exit_code, result.output) == (0, "")
        return served[-1]

    return run


def told(config):
    listen, log = config.listen, config.log
    return config.upstream.url, listen.host, listen.port, config.workers, log.to, log.format


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", (LEGACY, "127.0.0.1", 8080, 1, "-", "json")),
        ("--host 0.0.0.0", (LEGACY, "0.0.0.0", 8080, 1, "-", "json")),
        ("--port 0", (LEGACY, "127.0.0.1", 0, 1, "-", "json")),
        ("--host ::1 --port 9", (LEGACY, "::1", 9, 1, "-", "json")),
        ("--workers 1 --log off --log-format console", (LEGACY, "127.0.0.1", 8080, 1, "off", "console")),
    ],
)
def test_flags_alone_are_enough(ran, flags, expected):
    assert told(ran("--upstream", LEGACY, *flags.split())) == expected


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", ("http://file:1", "10.0.0.1", 81, 1, "a.log", "console")),
        ("--port 82", ("http://file:1", "10.0.0.1", 82, 1, "a.log", "console")),
        ("--host 10.0.0.2", ("http://file:1", "10.0.0.2", 81, 1, "a.log", "console")),
        ("--log - --log-format json", ("http://file:1", "10.0.0.1", 81, 1, "-", "json")),
        ("--upstream http://flag:2", ("http://flag:2", "10.0.0.1", 81, 1, "a.log", "console")),
    ],
)
@pytest.mark.parametrize("upstream", ["http://file:1", "{url: 'http://file:1', host: upstream}"], ids=["short", "long"])
def test_flags_win_over_the_file(ran, tmp_path, flags, expected, upstream):
    file = tmp_path / "config.yaml"
    file.write_text(f"upstream: {upstream}\nlisten: 10.0.0.1:81\nlog: {{to: a.log, format: console}}\n")
    assert told(ran("--config", str(file), *flags.split())) == expected


def test_without_an_upstream_it_says_both_ways_and_ends_with_2():
    result = CliRunner().invoke(app, ["run", "--port", "0"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "frontrunner run --upstream http://" in result.stderr
    assert "frontrunner run --config config.yaml" in result.stderr


def test_a_bad_file_ends_with_2_and_all_findings_one_a_line(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("upstream: 3\nnothing: 1\n")
    result = CliRunner().invoke(app, ["run", "--config", str(file)])
    assert (result.exit_code, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert first.startswith(f"{file}:1:11: upstream: found 3; allowed: ")
    assert second.startswith(f"{file}:2:1: nothing: found nothing; allowed: ")


def test_a_bad_flag_ends_with_2_and_is_named():
    result = CliRunner().invoke(app, ["run", "--upstream", "ftp://x"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "command line: upstream: found " in result.stderr


def test_a_file_that_is_not_there_ends_with_2(tmp_path):
    result = CliRunner().invoke(app, ["run", "--config", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml" in result.stderr


def test_what_cannot_start_ends_with_3(monkeypatch):
    def failing(*_):
        raise StartError("cannot listen")

    monkeypatch.setattr("proxy.run.run", failing)
    result = CliRunner().invoke(app, ["run", "--upstream", LEGACY])
    assert (result.exit_code, result.stdout, result.stderr) == (3, "", "frontrunner run: cannot listen\n")


def test_a_taken_port_ends_with_3():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = CliRunner().invoke(app, ["run", "--upstream", LEGACY, "--port", port])
    assert result.exit_code == 3
    assert f"cannot listen on 127.0.0.1:{port}" in result.stderr


def test_a_log_that_cannot_be_written_ends_with_3(tmp_path):
    place = str(tmp_path / "none" / "log")
    flags = ["run", "--upstream", LEGACY, "--port", "0", "--log", place]
    ended = subprocess.run([sys.executable, "-m", "proxy", *flags], check=False, capture_output=True, timeout=30)
    assert ended.returncode == 3
    assert place.encode() in ended.stderr


@contextmanager
def running(folder):
    """Run it with its log in a folder; give the process, and a function that waits for the log's first line."""
    log = folder / "log"
    flags = ["run", "--upstream", "http://127.0.0.1:9", "--port", "0", "--log", str(log)]
    env = os.environ | {"XDG_STATE_HOME": str(folder)}
    arguments = [sys.executable, "-m", "proxy", *flags]

    def ready():
        until(lambda: log.exists() and log.read_bytes().endswith(b"\n"))
        return json.loads(log.read_bytes().splitlines()[0])

    with subprocess.Popen(arguments, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        try:
            yield process, ready
        finally:
            process.kill()


def until(true):
    deadline = time.perf_counter() + 20
    while not true():
        assert time.perf_counter() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_it_runs_until_a_signal_and_the_first_line_of_the_log_is_ready(tmp_path, number, code):
    with running(tmp_path) as (process, ready):
        told = ready()
        assert told["event"] == "ready"
        assert told["url"].startswith("http://127.0.0.1:")
        process.send_signal(number)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out, err) == (code, b"", b"")


@pytest.mark.parametrize("number", [signal.SIGUSR1, signal.SIGUSR2])
def test_a_signal_before_it_served_ended_it(tmp_path, number):
    """A logrotate in the second of a restart took the proxy down."""
    with running(tmp_path) as (process, ready):
        status = Path(f"/proc/{process.pid}/status")
        until(lambda: int(re.search(r"SigBlk:\s*(\w+)", status.read_text())[1], 16) >> (number - 1) & 1)
        process.send_signal(number)
        assert ready()["event"] == "ready"
        until(lambda: not int(re.search(r"SigPnd:\s*(\w+)", status.read_text())[1], 16))
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
