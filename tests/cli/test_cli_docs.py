"""`frontrunner docs` lists the packaged pages, prints one, and knows what was meant."""

import os
import pty
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from proxy.cli import app
from proxy.cli.docs import pages

GUIDE = {"config": "# Every key of config.yaml\n\nText.\n", "reference": "# Words\n"}


@pytest.fixture
def guide(monkeypatch):
    monkeypatch.setattr("proxy.cli.docs.pages", lambda: GUIDE)


@pytest.mark.usefixtures("guide")
def test_without_a_name_all_pages_are_listed():
    result = CliRunner().invoke(app, ["docs"])
    assert (result.exit_code, result.stdout) == (0, "config     Every key of config.yaml\nreference  Words\n")


@pytest.mark.usefixtures("guide")
@pytest.mark.parametrize("name", ["config", "config.md"])
def test_without_a_terminal_a_page_is_printed_as_it_is(name):
    result = CliRunner().invoke(app, ["docs", name])
    assert (result.exit_code, result.stdout) == (0, GUIDE["config"])


@pytest.mark.usefixtures("guide")
def test_an_unknown_page_ends_with_2_and_the_nearest_name():
    result = CliRunner().invoke(app, ["docs", "referense"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == ("frontrunner docs: found referense; allowed: config reference; did you mean reference?\n")


def test_without_any_page_it_says_so(monkeypatch):
    monkeypatch.setattr("proxy.cli.docs.pages", dict)
    result = CliRunner().invoke(app, ["docs", "../secrets"])
    assert result.exit_code == 2
    assert "nothing" in result.stderr


def test_every_packaged_page_has_a_title():
    assert pages()
    assert all(text.startswith("# ") for text in pages().values())


def test_on_a_terminal_a_page_is_rendered():
    ours, theirs = pty.openpty()
    name = next(iter(pages()))
    with subprocess.Popen(
        [sys.executable, "-m", "proxy", "docs", name], stdout=theirs, env=os.environ | {"TERM": "xterm"}
    ) as running:
        os.close(theirs)
        shown = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # how Linux says that the other end is closed
                break
            if not piece:
                break
            shown += piece
        os.close(ours)
        assert running.wait(20) == 0
    assert b"\x1b[" in shown
