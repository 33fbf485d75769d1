"""`frontrunner check` prints findings or a summary, and its exit code tells which."""

import pytest
from typer.testing import CliRunner

from proxy.cli import app

FINE = """\
upstream: http://127.0.0.1:8000
rules:
  - name: query
    match: {method: POST, path: "/orchestrator/[v1]/*"}
    safe: true
    key:
      - json: {ignore: [$.request_id], text: [$.question]}
      - sort_params
    ttl: {200: 1h, 404: 30s}
  - name: search
    match: {path: /search, host: legacy}
    ttl: %s
"""


@pytest.fixture
def check(tmp_path, monkeypatch):
    """Check a config file with this text."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.chdir(tmp_path)

    def checked(text):
        (tmp_path / "config.yaml").write_text(text)
        return CliRunner().invoke(app, ["check", "config.yaml"])

    return checked


def rows(shown):
    return [" ".join(line.replace("│", " ").split()) for line in shown.splitlines()]


def test_a_fine_file_ends_with_0_and_a_summary_of_its_rules(check):
    result = check(FINE % "1h")
    assert (result.exit_code, result.stderr) == (0, "")
    shown = rows(result.stdout)
    assert shown[0] == "config.yaml: fine, 2 rules; GET and HEAD that none matches: from_origin"
    assert "query POST /orchestrator/[v1]/* json sort_params 200: 1h, 404: 30s yes" in shown
    assert "search GET HEAD legacy/search as asked 1h" in shown


@pytest.mark.parametrize(
    ("ttl", "shown"),
    [("from_origin", "from_origin"), ("24h", "1d"), ("90m", "90m"), ("90s", "90s"), ("250ms", "0.25s"), ("0", "0s")],
)
def test_a_ttl_is_shown_in_its_largest_whole_unit(check, ttl, shown):
    assert f"search GET HEAD legacy/search as asked {shown}" in rows(check(FINE % ttl).stdout)


def test_a_file_without_rules_needs_no_table(check):
    assert check("upstream: http://x").stdout == (
        "config.yaml: fine, 0 rules; GET and HEAD that none matches: from_origin\n"
    )


def test_all_findings_are_printed_one_a_line_and_it_ends_with_1(check):
    result = check("upstream: 3\nlog: {toto: 1}\n")
    assert (result.exit_code, result.stderr) == (1, "")
    first, second = result.stdout.splitlines()
    assert first.startswith("config.yaml:1:11: upstream: found 3; allowed: a URL")
    assert second.startswith("config.yaml:2:7: log.toto: found toto; allowed: one of to, format, schema")
    assert second.endswith("did you mean to?")


def test_a_file_that_cannot_be_read_ends_with_2(tmp_path):
    result = CliRunner().invoke(app, ["check", str(tmp_path / "none.yaml")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "none.yaml: found No such file or directory" in result.stderr
