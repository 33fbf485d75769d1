"""`frontrunner check` prints findings or a summary, and its exit code tells which."""

import re

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

    def checked(text, *arguments):
        (tmp_path / "config.yaml").write_text(text)
        return CliRunner().invoke(app, ["check", "config.yaml", *arguments])

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
    assert second.startswith(
        "config.yaml:2:7: log.toto: found toto; allowed: one of to, format, sample, headers, query, schema"
    )
    assert second.endswith("did you mean to?")


def test_a_file_that_cannot_be_read_ends_with_2(tmp_path):
    result = CliRunner().invoke(app, ["check", str(tmp_path / "none.yaml")])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "none.yaml: found No such file or directory" in result.stderr


# Samples: what a rule makes of a request, without asking anybody.

TRY = """\
upstream: http://127.0.0.1:9
rules:
  - name: query
    match: {method: POST, path: /query}
    safe: true
    key:
      - json: {ignore: [$.id], text: [$.question]}
    ttl: {200: 1h, 404: 30s}
  - name: search
    match: {path: /search, host: site.test}
    key: [sort_params, {drop_params: [utm_*]}, {lower: [q]}]
    ttl: 10m
  - name: mine
    match: {path: /mine/**}
    private_by: [Authorization]
    cookies: [sid]
"""
SAMPLES = {
    "a GET in its normal form": (
        ["--try", "GET http://site.test/search?utm_x=1&q=CATS&page=1"],
        """\
GET /search?utm_x=1&q=CATS&page=1
rule     search
step     sort_params
           query: utm_x=1&q=CATS&page=1 → page=1&q=CATS&utm_x=1
step     drop_params
           param utm_x: 1 → (absent)
step     lower
           param q: CATS → cats
key      KEY
           method: GET
           host: site.test
           path: /search
           param page: 1
           param q: cats
now      answer from the store, or fetch and keep for 10m
""",
    ),
    "a POST by its body": (
        ["--try", 'post /query {"question": "  How  many? ", "id": 1}', "-H", "Content-Type: application/json"],
        """\
POST /query
rule     query
step     json
           $.question: "  How  many? " → "How many?"
           $.id: 1 → (absent)
key      KEY
           method: POST
           host: localhost
           path: /query
           media type: application/json
           $.question: "How many?"
now      answer from the store, or fetch and keep for 200: 1h, 404: 30s
""",
    ),
    "one that passes through": (
        ["--try", "GET http://site.test/search", "-H", "Cookie: a=hunter2"],
        "GET /search\nrule     search\nnow      passthrough: send it straight upstream (cookie)\n",
    ),
    "one that a normalizer cannot read": (
        ["--try", "POST /query {"],
        """\
POST /query
rule     query
step     json: it cannot be certain
now      passthrough: send it straight upstream (key_body_syntax)
""",
    ),
    "one that no rule is for": (
        ["--try", "DELETE /search"],
        "DELETE /search\nrule     none\nnow      passthrough: send it straight upstream (no_rule)\n",
    ),
    "secrets": (
        ["--try", "GET /mine/a?token=hunter2", "-H", "Authorization: hunter2", "-H", "Cookie: sid=hunter2; a=hunter2"],
        """\
GET /mine/a?token=…
rule     mine
key      KEY
           method: GET
           host: localhost
           path: /mine/a
           field authorization: …
           field cookie:sid: …
           query: token=…
now      answer from the store, or fetch and keep as the origin says
""",
    ),
    "what no rule of the file is for": (
        ["--try", "GET /"],
        """\
GET /
rule     default
key      KEY
           method: GET
           host: localhost
           path: /
now      answer from the store, or fetch and keep as the origin says
""",
    ),
}


@pytest.mark.parametrize(("arguments", "told"), SAMPLES.values(), ids=SAMPLES)
def test_a_sample_is_explained_to_its_key_and_verdict(check, arguments, told):
    result = check(TRY, *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    _, _, shown = result.stdout.partition("\n\n")
    assert re.sub(r"[0-9a-f]{40}", "KEY", shown) == told


SPLIT = """\
upstream: http://127.0.0.1:8000
rules:
  - name: shop
    match: {path: /shop}
    split:
      by: {query_list: {name: %s, deny_params: [sort]}}
      merge: {keyed: {items: $.items}}
      when: {min_parts: 2}
    ttl: 1h
"""

CUTS = {
    "in two": (
        "ids",
        "GET /shop?ids=7,9",
        """\
split    shadow: 2 parts
           7
           9
           frame KEY
""",
    ),
    "in two that may be secrets": ("pass", "GET /shop?pass=hunter2,9", "split    shadow: 2 parts\n           frame KEY\n"),
    "not: one is too few": (
        "ids",
        "GET /shop?ids=7",
        """\
split    shadow: 1 part
           7
           frame KEY
           goes whole: it has fewer than 2 parts
""",
    ),
    "not: there are none": (
        "ids", "GET /shop?id=7", "split    shadow: no parts\n           goes whole: it names no parts\n",
    ),
    "not: it is denied": (
        "ids", "GET /shop?ids=7,9&sort=up", "split    shadow: no parts\n           goes whole: split_denied\n",
    ),
    "not: one comes twice": (
        "ids",
        "GET /shop?ids=7,7",
        """\
split    shadow: 2 parts
           7
           7
           frame KEY
           goes whole: duplicate_part
""",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "sample", "told"), CUTS.values(), ids=CUTS)
def test_the_cut_of_a_sample_is_shown(check, name, sample, told):
    result = check(SPLIT % name, "--try", sample)
    assert (result.exit_code, result.stderr) == (0, "")
    shown = re.sub(r"[0-9a-f]{40}", "KEY", result.stdout)
    assert shown.endswith(f"{told}now      answer from the store, or fetch and keep for 1h\n")
    assert "hunter2" not in shown


def test_several_samples_one_after_the_other(check):
    result = check(TRY, "--try", "GET http://site.test/search?q=a", "--try", "GET http://SITE.test:80/search?q=A")
    first, second = re.findall(r"^key +(\w+)$", result.stdout, re.MULTILINE)
    assert first == second


WRONG = [
    "",
    "GET",
    "/search?hunter2",
    "GET hunter2",
    "GET /a#hunter2",
    "GET http://me:hunter2@site.test/",
    "GET /ä?hunter2",
]


@pytest.mark.parametrize("sample", WRONG)
def test_what_is_no_sample_ends_with_2_and_is_not_repeated(check, sample):
    result = check(TRY, "--try", sample)
    assert result.exit_code == 2
    assert result.stderr.startswith("--try: ")
    assert result.stderr.endswith("; allowed is 'METHOD URL [BODY]'\n")
    assert "hunter2" not in result.output


def test_what_is_no_field_ends_with_2_and_is_not_repeated(check):
    result = check(TRY, "--try", "GET /", "-H", "hunter2")
    assert result.exit_code == 2
    assert "hunter2" not in result.output


def test_a_sample_asks_nobody_and_leaves_nothing(check, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert check(TRY, "--try", "GET http://site.test/search").exit_code == 0
    assert [file.name for file in tmp_path.iterdir()] == ["config.yaml"]
