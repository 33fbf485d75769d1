"""The whole demo as a user runs it: it measures, it is gone without a trace, and it ends with the right code."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import httpx2
import pytest

from proxy import demo
from proxy.demo.children import Child
from proxy.demo.screen import Screen
from proxy.demo.story import Ask, Step
from proxy.errors import StartError

WITHIN_S = 30.0


@pytest.fixture
def homes(tmp_path):
    """Return the environment of a user whose home and temporary folder are watched."""
    for name in ("home", "tmp"):
        (tmp_path / name).mkdir()
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return kept | {"HOME": str(tmp_path / "home"), "TMPDIR": str(tmp_path / "tmp"), "COLUMNS": "100"}


@pytest.fixture(autouse=True)
def no_trace(tmp_path, homes):
    yield
    assert list((tmp_path / "home").rglob("*")) == []
    assert list((tmp_path / "tmp").rglob("*")) == []


@contextmanager
def playing(homes, *arguments):
    """Run `frontrunner demo` as a child; what it leaves behind fails the test."""
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=homes,
        text=True,
    ) as running:
        try:
            yield running
        finally:
            if running.poll() is None:
                running.terminate()
                running.wait(WITHIN_S)


def lines_until(running, pattern):
    """Return the lines so far, the first that matches the pattern being the last."""
    lines = []
    for line in running.stdout:
        lines.append(line.rstrip("\n"))
        if re.match(pattern, line):
            return lines
    raise AssertionError(f"{pattern} not in {lines}; {running.stderr.read()}")


def ends(running, number):
    began = time.perf_counter()
    running.send_signal(number)
    code = running.wait(WITHIN_S)
    assert time.perf_counter() - began < 15
    return code


def port(line):
    return int(re.search(r"http://127\.0\.0\.1:(\d+)", line)[1])


def free(number):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", number)) != 0


def test_the_demo_measures_a_hit_and_leaves_nothing_behind(homes):
    with playing(homes, "--scale", "0.005") as running:
        out, err = running.communicate(timeout=60)
    assert (running.returncode, err) == (0, "")
    assert "\x1b" not in out
    assert "equals the direct one, byte for byte" in out
    rows = {cells[0]: cells[1:] for line in out.splitlines() if len(cells := re.split(r" *[│┃] *", line)[1:-1]) == 5}
    assert rows["first ask"][3] == "1 / 1"
    assert rows["same ask, other spelling"][3] == "1 / 0"
    assert float(rows["same ask, other spelling"][2].removesuffix(" x").replace(",", "")) > 5
    assert rows["four questions at once"][3] == "1 / 3"
    assert float(rows["four questions at once"][2].removesuffix(" x")) > 1
    assert rows["four, three known before"][3] == "1 / 1"
    assert float(rows["four, three known before"][2].removesuffix(" x")) > 1.2
    assert rows["first ask, after restart"][3] == "1 / 0"
    assert rows["all"][3] == "5 / 5"
    assert float(rows["all"][2].removesuffix(" x")) > 1
    assert "hold: 2 pairs agree, 58 more are needed" in out
    assert all(free(port(line)) for line in out.splitlines()[:2])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_while_it_waits_it_ends_at_once_with_130(homes, number):
    with playing(homes, "--scale", "1") as running:
        service, proxy = map(port, lines_until(running, "proxy  "))
        time.sleep(0.5)
        assert not free(service)
        assert ends(running, number) == 130
        assert free(service)
        assert free(proxy)


def test_kept_it_prints_curl_lines_that_work_until_ctrl_c(homes):
    with playing(homes, "--scale", "0.005", "--keep") as running:
        lines = lines_until(running, "The log: ")
        commands = [shlex.split(line) for line in lines if line.startswith("  curl")]
        first, again, status, performance = (curl(command) for command in commands)
        assert first == again
        assert "Málaga" in first["answers"][0]["q"]
        assert status["entries"] == 8, "two answers, five parts, and what stands around these"
        assert "query" in json.dumps(performance)
        assert all(f":{port(lines[1])}/" in " ".join(command) for command in commands)
        assert ends(running, signal.SIGINT) == 130
        assert free(port(lines[0]))
        assert free(port(lines[1]))


def curl(command):
    """Do what the printed curl line does: its options are -s, -w, -H and -d."""
    options, url, fields, body = iter(command[1:]), "", {}, None
    for word in options:
        match word:
            case "-s":
                pass
            case "-w":
                next(options)
            case "-H":
                name, _, value = next(options).partition(": ")
                fields[name] = value
            case "-d":
                body = next(options)
            case _:
                url = word
    answer = httpx2.request("POST" if body else "GET", url, headers=fields, content=body, trust_env=False)
    return answer.raise_for_status().json()


@pytest.fixture
def at_home(homes, monkeypatch):
    """Run the demo in this process, in the watched folders."""
    for name in ("HOME", "TMPDIR"):
        monkeypatch.setenv(name, homes[name])
    monkeypatch.setattr("tempfile.tempdir", None)
    return lambda **options: demo.run(**{"scale": 0.0, "keep": False, "seed": 1} | options)


def test_a_proxy_that_does_not_start_ends_it_with_3_and_its_own_words(at_home, monkeypatch, capsys):
    monkeypatch.setattr(demo, "CONFIG", "upstream: {url}\nno_such_key: 1\n")
    assert at_home() == 3
    assert "the proxy ended with 2" in (err := capsys.readouterr().err)
    assert "no_such_key" in err


def test_a_story_without_an_answer_ends_with_1(at_home, monkeypatch, capsys):
    def refused(*_):
        raise httpx2.ConnectError("nobody there")

    monkeypatch.setattr("proxy.demo.story.Stage.play", refused)
    assert at_home() == 1
    assert "nobody there" in capsys.readouterr().err


def test_a_wrong_answer_ends_with_1(at_home, monkeypatch, capsys):
    wrong = Step("first ask", Ask(1.0, 1, 200, b"a"), Ask(1.0, 1, 200, b"b"))
    monkeypatch.setattr("proxy.demo.story.Stage.play", lambda *_: [wrong])
    monkeypatch.setattr("proxy.demo.ab.report", lambda *_: "")
    assert at_home() == 1
    assert "differs" in capsys.readouterr().err


def test_kept_it_notices_when_one_of_them_is_gone(tmp_path):
    gone = Child("proxy", tmp_path)
    gone.err.write_text("out of memory")
    with pytest.raises(StartError, match=r"the proxy is gone\nout of memory"):
        demo._keep(Screen(0.1, 0.2), (gone, gone), "http://proxy", "token")
