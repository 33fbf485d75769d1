"""`frontrunner purge` sends one purge, and says in one line what came of it."""

import pytest
from typer.testing import CliRunner

from proxy.cli import app

KEY = "0123456789abcdef0123456789abcdef01234567"
PLAIN = {"method": "GET", "headers": {}, "body": ""}


@pytest.fixture
def purge(monkeypatch):
    """Run the command against a proxy that says this; return what was printed, and what it was asked."""

    def run(told, *arguments):
        seen = []
        monkeypatch.setattr("proxy.cli.purge.sent", lambda *asked: seen.append(asked) or told)
        result = CliRunner().invoke(app, ["purge", *arguments, "--url", "http://p", "--token", "t"])
        assert result.exit_code == 0, result.output
        ((url, token, path, wanted, asked),) = seen
        assert (url, token, path, wanted) == ("http://p", "t", "cache/purge", "purged")
        return result.stdout, asked

    return run


PURGES = {
    "a URL": (["http://a/b?c"], {"path": "/b", "held": True}, {"url": "http://a/b?c", **PLAIN}, "url /b"),
    "a URL of which nothing was stored": (
        ["/b"], {"path": "/b", "held": False}, {"url": "/b", **PLAIN}, "url /b (nothing was stored for exactly this)",
    ),
    "a request": (
        ["-X", "POST", "-H", "Host: a", "-H", "X-A: 1", "-d", "{}", "/b"], {"path": "/b"},
        {"url": "/b", "method": "POST", "headers": {"host": "a", "x-a": "1"}, "body": "{}"}, "url /b",
    ),
    "a key": (["--key", KEY], {"name": KEY, "held": True}, {"key": KEY}, f"key {KEY}"),
    "a key at which nothing is stored": (
        ["--key", KEY], {"name": KEY, "held": False}, {"key": KEY}, f"key {KEY} (nothing was stored for exactly this)",
    ),
    "a rule": (["--rule", "r"], {"name": "r"}, {"rule": "r"}, "rule r"),
    "a group": (["--group", "g", "--host", "A"], {"name": "a g"}, {"group": "g", "host": "A"}, "group a g"),
    "a group without its host: the proxy says no": (["--group", "g"], {"name": " g"}, {"group": "g", "host": ""}, "group  g"),
    "all": (["--all"], {}, {"all": True}, "all"),
    "what a terminal would obey": (["/b"], {"path": "/\x1b[2J"}, {"url": "/b", **PLAIN}, r"url /\x1b[2J"),
}  # fmt: skip


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize(("arguments", "told", "asked", "printed"), PURGES.values(), ids=PURGES)
def test_what_is_asked_for_and_what_is_said(purge, arguments, told, asked, printed, soft):
    out, seen = purge({"purged": True, "soft": soft, **told}, *arguments, *(["--soft"] if soft else []))
    assert seen == {**asked, "soft": soft}
    assert out == f"purged{' softly' if soft else ''}: {printed}\n"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--soft"],
        ["/a", "--all"],
        ["--rule", "r", "--key", KEY],
        ["--group", "g", "--all", "--host", "a"],
        ["/a", "/b"],
    ],
    ids=" ".join,
)
def test_it_is_exactly_one_thing(purge, arguments):
    result = CliRunner().invoke(app, ["purge", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")


def test_what_is_no_field_ends_with_2():
    result = CliRunner().invoke(app, ["purge", "/a", "-H", "hunter2"])
    assert result.exit_code == 2
    assert "hunter2" not in result.stderr
