"""`frontrunner bypass` turns the switch, or tells how it stands and where its file is."""

import pytest
from typer.testing import CliRunner

from proxy.cli import app

FILE = {"file": "/state/bypass-1"}


@pytest.fixture
def bypass(monkeypatch):
    """Run the command against a proxy that says this; return what was printed, and what it was asked."""

    def run(told, *arguments):
        seen = []
        monkeypatch.setattr("proxy.cli.bypass.sent", lambda *asked: seen.append(asked) or told)
        result = CliRunner().invoke(app, ["bypass", *arguments, "--url", "http://p", "--token", "t"])
        assert result.exit_code == 0
        return result.stdout.splitlines(), seen

    return run


@pytest.mark.parametrize(
    ("arguments", "asked", "on"),
    [([], None, False), ([], None, True), (["on"], {"on": True}, True), (["off"], {"on": False}, False)],
)
def test_it_asks_for_what_is_wanted_and_says_how_it_stands(bypass, arguments, asked, on):
    printed, seen = bypass({"on": on, **FILE}, *arguments)
    assert printed == [f"bypass is {'on' if on else 'off'}", "its switch is /state/bypass-1"]
    assert seen == [("http://p", "t", "bypass", "on", asked)]


def test_a_switch_without_a_file_is_that_processs_own(bypass):
    printed, _ = bypass({"on": True, "file": None}, "on")
    assert printed == ["bypass is on", "it is turned for that process only: it can keep no file"]


@pytest.mark.parametrize("word", ["On", "yes", "true", "1", "friday"])
def test_another_word_ends_with_2(word):
    assert CliRunner().invoke(app, ["bypass", word]).exit_code == 2
