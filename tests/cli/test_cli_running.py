"""How commands talk to a proxy that runs: where it is, who asks, and what each answer means for the exit code."""

import json
import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import typer

from proxy.cli.running import fields, plain, sent

SECRET = "hunter2"
JSON = "application/json"


class Told(HTTPServer):
    """Stands where a proxy should: answers what it is told, and remembers what it was asked."""

    def __init__(self, status, media_type, body):
        super().__init__(("127.0.0.1", 0), Answering)
        self.answer = status, media_type, body
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


class Answering(BaseHTTPRequestHandler):
    """One request to it."""

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        self.server.asked.append((self.command, self.path, self.headers.get("authorization"), body))
        status, media_type, told = self.server.answer
        self.send_response(status)
        self.send_header("content-type", media_type)
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_):
        """Say nothing."""


def ended(capsys, *arguments):
    """Return the exit code and what was said; nothing is printed beside it."""
    with pytest.raises(typer.Exit) as end:
        sent(*arguments)
    out, err = capsys.readouterr()
    assert (out, err.startswith("frontrunner: "), err.count("\n")) == ("", True, 1)
    return end.value.exit_code, err.removeprefix("frontrunner: ").rstrip("\n")


@pytest.mark.parametrize(
    ("path", "base"),
    [
        ("", "/_frontrunner"),
        ("/", "/_frontrunner"),
        ("/_frontrunner", "/_frontrunner"),
        ("/ops/", "/ops"),
        ("/a/b", "/a/b"),
    ],
)
def test_what_is_asked_goes_below_the_prefix_with_the_token(path, base):
    """The usual prefix, where the URL has no path of its own."""
    with Told(200, JSON, b'{"on": true}') as there:
        assert sent(there.url + path, "t0ken", "bypass", "on") == {"on": True}
        assert sent(there.url + path, "t0ken", "bypass", "on", {"on": True}) == {"on": True}
    assert [(method, at, by) for method, at, by, _ in there.asked] == [
        ("GET", f"{base}/bypass", "Bearer t0ken"),
        ("POST", f"{base}/bypass", "Bearer t0ken"),
    ]
    assert [body and json.loads(body) for *_, body in there.asked] == [b"", {"on": True}]


def test_without_a_token_it_is_this_machines(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.delenv("FRONTRUNNER_TOKEN", raising=False)
    (tmp_path / "frontrunner").mkdir()
    (tmp_path / "frontrunner" / "token").write_text("kept-token")
    with Told(200, JSON, b'{"on": true}') as there:
        sent(there.url, "", "bypass", "on")
    assert there.asked[0][2] == "Bearer kept-token"


def test_a_token_that_cannot_be_read_ends_with_3(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.delenv("FRONTRUNNER_TOKEN", raising=False)
    (tmp_path / "file").touch()
    code, said = ended(capsys, "http://127.0.0.1:9", "", "bypass", "on")
    assert (code, said.startswith("no token is given, and none can be read: ")) == (3, True)


def test_proxies_of_the_environment_are_not_asked(monkeypatch):
    """The token is for one place."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with Told(200, JSON, b'{"on": true}') as there:
        assert sent(there.url, "t", "bypass", "on")


PROBLEM = json.dumps({"detail": "needs\x1b[2J a \u202etoken\n", "reason": "token"}).encode()
ANSWERS = {
    "it refuses": (401, PROBLEM, 1, r"needs\x1b[2J a \u202etoken\n"),
    "it has failed": (500, b'{"detail": "no", "reason": "internal"}', 1, "no"),
    "it says no more": (400, b'{"reason": "internal"}', 1, ""),
    "another service": (404, b'{"detail": "Not Found"}', 3, "what answers at URL is no Frontrunner: 404"),
    "a page": (200, b"<html>", 3, "what answers at URL is no Frontrunner: 200"),
    "other JSON": (200, b'{"off": true}', 3, "what answers at URL is no Frontrunner: 200"),
    "a list": (200, b'["on"]', 3, "what answers at URL is no Frontrunner: 200"),
    "a list of errors": (400, b'["reason"]', 3, "what answers at URL is no Frontrunner: 400"),
    "somewhere else": (307, b'{"on": true}', 3, "what answers at URL is no Frontrunner: 307"),
    "nothing": (204, b"", 3, "what answers at URL is no Frontrunner: 204"),
    "not UTF-8": (200, b'{"on": "\xff"}', 3, "what answers at URL is no Frontrunner: 200"),
}


@pytest.mark.parametrize(("status", "body", "code", "said"), ANSWERS.values(), ids=ANSWERS)
def test_what_is_no_answer_of_ours_is_told_in_one_line(capsys, status, body, code, said):
    with Told(status, JSON, body) as there:
        assert ended(capsys, there.url, "t", "bypass", "on") == (code, said.replace("URL", there.url))


def test_nobody_answers(capsys):
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
    code, said = ended(capsys, url, SECRET, "bypass", "on")
    assert (code, said.startswith(f"no proxy answers at {url}: ")) == (3, True)
    assert SECRET not in said


@pytest.mark.parametrize(
    "url",
    ["", "proxy", "ftp://proxy", "http://", "http://[", "http://127.0.0.1:x", "http://127.0.0.1:99999", "unix:/run/x"],
)
def test_what_is_no_url_ends_with_3(capsys, url):
    code, said = ended(capsys, url, SECRET, "bypass", "on")
    assert (code, said.startswith(f"no proxy answers at {url}: ")) == (3, True)
    assert SECRET not in said


@pytest.mark.parametrize(
    ("token", "asked"),
    [("hunter2\n", {}), ("hunter2★", {}), ("hunter2\udcff", {}), ("t", {"group": "hunter2\udcff"})],
)
def test_what_cannot_be_sent_ends_with_2_and_is_not_repeated(capsys, token, asked):
    code, said = ended(capsys, "http://127.0.0.1:9", token, "cache/purge", "purged", asked)
    assert code == 2
    assert SECRET not in said


FIELDS = {
    "none": ([], {}),
    "one": (["X-A: 1"], {"x-a": "1"}),
    "without a blank": (["x-a:1"], {"x-a": "1"}),
    "a colon in it": (["Host: a:80"], {"host": "a:80"}),
    "empty": (["X-A:"], {"x-a": ""}),
    "twice": (["X-A: 1", "x-a: 2"], {"x-a": "1, 2"}),
    "cookies": (["Cookie: a=1", "cookie: b=2"], {"cookie": "a=1; b=2"}),
}


@pytest.mark.parametrize(("options", "told"), FIELDS.values(), ids=FIELDS)
def test_fields(options, told):
    assert fields(options) == told


@pytest.mark.parametrize("option", ["Bearer hunter2", "", ": hunter2", " : hunter2"])
def test_what_is_no_field_ends_with_2_and_is_not_repeated(capsys, option):
    with pytest.raises(typer.Exit) as end:
        fields(["X-A: 1", option])
    assert end.value.exit_code == 2
    assert capsys.readouterr().err == "frontrunner: the 2. -H is not of the form 'Name: value'\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [("grüße ★", "grüße ★"), ("\x1b[31m\r\n\x9b", r"\x1b[31m\r\n\x9b"), ("\u202e\u00a0\ud800", r"\u202e\xa0\ud800")],
)
def test_a_terminal_obeys_nobody(text, told):
    assert plain(text) == told
