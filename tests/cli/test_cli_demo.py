"""`frontrunner demo` hands its options to the demo and ends with the demo's own exit code."""

import pytest
from typer.testing import CliRunner

from proxy.cli import app


@pytest.fixture
def played(monkeypatch):
    """Return the options that the demo was run with; it ends with its seed as exit code."""
    seen = []
    monkeypatch.setattr("proxy.demo.run", lambda **options: seen.append(options) or options["seed"])
    return seen


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("--seed 0", {"scale": 0.1, "keep": False, "seed": 0}),
        ("", {"scale": 0.1, "keep": False, "seed": 1}),
        ("--scale 1 --keep --seed 3", {"scale": 1.0, "keep": True, "seed": 3}),
        ("--seed 130", {"scale": 0.1, "keep": False, "seed": 130}),
    ],
)
def test_options_go_in_and_the_exit_code_comes_out(played, flags, expected):
    assert CliRunner().invoke(app, ["demo", *flags.split()]).exit_code == expected["seed"]
    assert played == [expected]
