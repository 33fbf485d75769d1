"""`frontrunner warm` on the command line: what it takes, what it says where, and how it ends."""

import os
import pty
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from typer.testing import CliRunner

from proxy.cli import app

ROOT = Path(__file__).parents[2]
MISS = "Frontrunner; fwd=uri-miss; stored"
SUMMARY = "asked 2: 2 stored, 0 already there, 0 not stored, 0 failed\n"


class Standing(ThreadingHTTPServer):
    """Stands where a proxy should; `/slow` waits until the test ends."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Answering)
        self.asked, self.status, self.slow, self.go = [], 200, Event(), Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Answering(BaseHTTPRequestHandler):
    """One request to it."""

    def do_GET(self):
        if self.path != "/_frontrunner/livez":
            self.server.asked.append((self.path, self.headers["host"], self.headers["x-a"]))
        if self.path == "/slow":
            self.server.slow.set()
            self.server.go.wait(20)
        self.send_response(self.server.status if self.path == "/bad" else 200)
        if self.path != "/bad":
            self.send_header("cache-status", MISS)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"ok\n")

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def standing():
    with Standing() as server:
        running = Thread(target=server.serve_forever, args=(0.01,))
        running.start()
        yield server
        server.go.set()
        server.shutdown()
        running.join()


@pytest.fixture
def warm(standing, tmp_path):
    def run(content, *arguments, url=standing.url, **more):
        file = tmp_path / "urls.txt"
        file.write_bytes(content)
        return CliRunner().invoke(app, ["warm", str(file), "--url", url, "--token", "t", *arguments], **more)

    return run


def test_all_is_well(warm, standing):
    done = warm(b"/1\n/2\n")
    assert (done.exit_code, done.stdout, done.stderr) == (0, SUMMARY, "")
    assert standing.asked == [("/1", standing.url[7:], None), ("/2", standing.url[7:], None)]


def test_stdin(standing):
    done = CliRunner().invoke(app, ["warm", "-", "--url", standing.url], input=b"/1\n/2\n")
    assert (done.exit_code, done.stdout) == (0, SUMMARY)


def test_fields_and_hosts(warm, standing):
    done = warm(b"/1\nhttp://b/2\nhttp://c/3\n", "--header", "X-A: 7", "-H", "Host: a", "--host", "b")
    assert standing.asked == [("/1", "a", "7"), ("/2", "a", "7")]
    assert done.stderr == (
        "left out: 1 (another host: --host takes others)\nleft out are, as --host would name them: c\n"
    )


def test_what_cannot_be_read_is_told_beside_the_last_line(warm):
    done = warm(b"/1\n" + b"no\x1b[2J\n" * 7 + b"/2\n")
    assert (done.exit_code, done.stdout) == (0, SUMMARY)
    assert done.stderr.splitlines()[::5] == ["cannot be read: line 2: no http or https URL", "cannot be read: 2 more"]


def test_a_failure_ends_with_1(warm, standing):
    standing.status = 500
    done = warm(b"/1\n/bad\n")
    assert (done.exit_code, done.stdout) == (1, "asked 2: 1 stored, 0 already there, 0 not stored, 1 failed (1 500)\n")


def test_a_second_run_goes_on(warm, standing, tmp_path):
    standing.status = 500
    file = str(tmp_path / "done")
    assert warm(b"/1\n/bad\n/3\n", "--resume", file, "--limit", "2").exit_code == 1
    standing.status, standing.asked = 404, []
    done = warm(b"/0\n/1\n/bad\n/3\n", "--resume", file)
    assert [path for path, *_ in standing.asked] == ["/0", "/bad", "/3"]
    assert done.stdout.endswith(" 1 done before\n")


WRONG = {
    "no file": ["/nowhere/urls.txt"],
    "a folder": ["/"],
    "no rate": ["-", "--rate", "2"],
    "no rate at all": ["-", "--rate", "0/s"],
    "a rate of nothing": ["-", "--rate", "1/d"],
    "nobody at once": ["-", "--parallel", "0"],
    "none": ["-", "--limit", "0"],
    "no field": ["-", "--header", "hunter2"],
    "a field in two lines": ["-", "--header", "X-A: hunter2\r\nX-B: 2"],
    "a folder to remember in": ["-", "--resume", "/"],
    "another's file to remember in": ["-", "--resume", __file__],
    "nothing": [],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_wrong_usage_of_warm_ends_with_2(arguments, standing):
    done = CliRunner().invoke(app, ["warm", *arguments, "--url", standing.url], input=b"/1\n")
    assert (done.exit_code, done.stdout, standing.asked) == (2, "", [])
    assert "hunter2" not in done.stderr
    assert done.stderr


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "proxy", "unix:/run/x"])
def test_no_proxy_ends_with_3(warm, url):
    done = warm(b"/1\n", url=url)
    assert done.exit_code == 3
    assert done.stderr.startswith("frontrunner")


@pytest.mark.parametrize(("rate", "gap_s"), [("", 0), ("2/s", 0.5), ("30/m", 2), ("0.5/s", 2), ("100/h", 36)])
def test_the_rate_is_a_gap(warm, monkeypatch, rate, gap_s):
    seen = []
    monkeypatch.setattr("proxy.cli.warm._asked", lambda asking, found, done, manner, resume: seen.append(manner) or 0)
    assert warm(b"/1\n", *(["--rate", rate] if rate else [])).exit_code == 0
    assert seen[0].gap_s == gap_s


@pytest.mark.parametrize("resume", [True, False])
def test_an_interruption_ends_with_130_and_says_how_to_go_on(standing, tmp_path, resume):
    (tmp_path / "urls.txt").write_text("/1\n/slow\n/3\n")
    command = [sys.executable, "-m", "proxy", "warm", "urls.txt", *(["--resume", "done"] if resume else [])]
    env = os.environ | {"FRONTRUNNER_URL": standing.url, "PYTHONPATH": str(ROOT)}
    running = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert standing.slow.wait(20)
    running.send_signal(2)
    out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (130, "asked 1: 1 stored, 0 already there, 0 not stored, 0 failed\n")
    assert ("done has what is done" if resume else "--resume FILE") in err
    assert err.count("\n") == 1


def test_a_bar_is_for_a_terminal_alone(standing, tmp_path):
    (tmp_path / "urls.txt").write_text("/1\n/2\n")
    ours, theirs = pty.openpty()
    ended = subprocess.run(
        [sys.executable, "-m", "proxy", "warm", "urls.txt", "--url", standing.url], check=False, cwd=tmp_path,
        stdout=subprocess.PIPE, stderr=theirs, env=os.environ | {"PYTHONPATH": str(ROOT), "TERM": "xterm"}, timeout=30,
    )  # fmt: skip
    os.close(theirs)
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        shown = terminal.read(65536)
    assert b"warming" in shown
    assert (ended.returncode, ended.stdout.decode()) == (0, SUMMARY)
