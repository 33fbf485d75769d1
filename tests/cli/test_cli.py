"""The command line as a whole: quick to start, one exit code per kind of end."""

import json
import os
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from proxy import __version__
from proxy.cli import app

HEAVY = ("uvicorn", "aiohttp", "pydantic", "starlette", "httpx2", "yaml")
LOADED = """
import json, sys
from proxy.cli import main
sys.argv = ["frontrunner", *sys.argv[1:]]
try:
    main()
finally:
    print(json.dumps(sorted(sys.modules)))
"""


def frontrunner(*arguments, **env):
    return run("-m", "proxy", *arguments, **env)


def run(*arguments, **env):
    return subprocess.run(
        [sys.executable, *arguments], check=False, capture_output=True, text=True, env=os.environ | env, timeout=60
    )


def test_help_names_every_command_and_loads_nothing_heavy():
    ended = run("-c", LOADED, "--help")
    assert ended.returncode == 0
    text, _, modules = ended.stdout.rstrip().rpartition("\n")
    for command in ("run", "demo", "check", "token", "docs"):
        assert f"│ {command} " in text
    assert not [name for name in json.loads(modules) if name.partition(".")[0] in HEAVY]


def test_help_is_quick():
    took = []
    for _ in range(3):
        began = time.perf_counter()
        assert frontrunner("--help").returncode == 0
        took.append(time.perf_counter() - began)
    assert min(took) < 0.8, "about 0.2 s on a quiet machine"


@pytest.mark.parametrize("command", ["run", "demo", "check", "token", "docs"])
def test_every_command_has_help(command):
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert result.stdout.strip()


def test_version():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.stdout) == (0, f"frontrunner {__version__}\n")


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["run", "--nothing"],
        ["run", "--upstream", "http://x", "--port", "65536"],
        ["run", "--upstream", "http://x", "--workers", "0"],
        ["run", "--upstream", "http://x", "--log-format", "xml"],
        ["demo", "--scale", "-1"],
        ["demo", "--scale", "nan"],
        ["check"],
    ],
    ids=" ".join,
)
def test_wrong_usage_ends_with_2(arguments):
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_there_is_no_completion_to_install():
    assert "completion" not in CliRunner().invoke(app, ["--help"]).stdout


def test_an_interrupted_command_ends_with_130(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr("proxy.cli.docs.pages", interrupted)
    assert CliRunner().invoke(app, ["docs"]).exit_code == 130
