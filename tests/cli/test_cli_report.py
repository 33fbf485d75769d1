"""`frontrunner report` prints what comparing two arms has shown, and ends with 1 where that is a rollback."""

import json

import pytest
from trials import arm, judged, spread, trial
from typer.testing import CliRunner

from proxy.cli import app
from proxy.core.ab_report import report as reported
from proxy.core.ab_report import told
from proxy.core.rollout import Gates

BOLD_GREEN, BOLD_RED = "\x1b[32m\x1b[1m", "\x1b[31m\x1b[1m"


def of(ratio=0.41, *, wrong=0, clean=312, feature="split", rule="shop"):
    """Return the report on a rule whose candidates take this much of control's time."""
    return reported(
        rule,
        feature,
        trial(
            arm(spread(2, 100)), arm(spread(5, 100)), pairs=judged(clean=clean, mismatch=wrong), ratios=[ratio] * 312
        ),
        gates=Gates(),
        status={"mode": "shadow", "state": "running"},
        now=1_750_000_000.0,
        version="1.2.3",
        config_hash="c0ffee",
    )


def answered(report, feature="split"):
    return {"rule": "shop", feature: {"mode": "shadow", "state": "running", "report": report}}


@pytest.fixture
def report(monkeypatch):
    """Run the command against a proxy that says this; return its result and what the proxy was asked."""

    def run(answer, *arguments, **settings):
        seen = []
        monkeypatch.setattr("proxy.cli.report.sent", lambda *asked: seen.append(asked) or answer)
        asked = ["report", "--ab", "shop", *arguments, "--url", "http://p", "--token", "t"]
        return CliRunner().invoke(app, asked, **settings), seen

    return run


VERDICTS = {
    "promote": (of(0.41), 0),
    "inconclusive": (of(1.0), 0),
    "hold": (of(clean=3), 0),
    "rollback": (of(wrong=1), 1),
}


@pytest.mark.parametrize("verdict", VERDICTS)
def test_it_prints_the_text_and_ends_with_1_where_something_was_found(report, verdict):
    found, code = VERDICTS[verdict]
    result, asked = report(answered(found))
    assert (result.exit_code, result.stderr) == (code, "")
    assert result.stdout == f"{told(found)}\n"
    assert result.stdout.startswith(f"{verdict}: ")
    assert asked == [("http://p", "t", "rollout/shop", "rule")]


@pytest.mark.parametrize("verdict", VERDICTS)
def test_json_is_what_the_proxy_says(report, verdict):
    found, code = VERDICTS[verdict]
    result, _ = report(answered(found), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (code, found)


def test_the_feature_is_split_unless_another_is_asked_for(report):
    answer = {**answered(of(feature="split")), **answered(of(feature="normalize"), "normalize")}
    assert "candidate (split)" in report(answer)[0].stdout
    assert "candidate (split)" in report(answer, "--feature", "split")[0].stdout
    assert "candidate (normalized)" in report(answer, "--feature", "normalize")[0].stdout


@pytest.mark.parametrize(
    ("verdict", "colour"), {"promote": BOLD_GREEN, "rollback": BOLD_RED, "hold": "\x1b[1m"}.items()
)
def test_a_terminal_shows_the_verdict_in_its_colour(report, verdict, colour):
    found, _ = VERDICTS[verdict]
    result, _ = report(answered(found), color=True)
    first, *rest = result.stdout.splitlines()
    assert first == f"{colour}{found['why']}\x1b[0m"
    assert "\x1b" not in "".join(rest)


def test_a_terminal_obeys_no_name_in_a_report(report):
    result, _ = report(answered(of(rule="a\x1b[2J")))
    assert "\x1b" not in result.stdout
    assert r"a\x1b[2J, split" in result.stdout


NO_REPORT = {
    "the rule does not split": ({"rule": "shop"}, "shop has no split"),
    "nothing is reported": ({"rule": "shop", "split": {"mode": "shadow"}}, "the proxy has no report on shop, split"),
    "no verdict": ({"rule": "shop", "split": {"report": {}}}, "the proxy has no report on shop, split"),
    "nothing is reported yet": ({"rule": "shop", "split": {"report": None}}, "the proxy has no report on shop, split"),
}


@pytest.mark.parametrize(("answer", "said"), NO_REPORT.values(), ids=NO_REPORT)
def test_without_a_report_it_says_so_and_ends_with_2(report, answer, said):
    result, _ = report(answer)
    assert (result.exit_code, result.stdout, result.stderr) == (2, "", f"frontrunner report: {said}\n")


def test_what_another_version_tells_is_not_read_but_can_be_printed(report):
    other = {"verdict": "rollback", "why": "rollback: of another make"}
    result, _ = report(answered(other))
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith("frontrunner report: the proxy is of another version")
    result, _ = report(answered(other), "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (1, other)


WRONG = {
    "no rule": [],
    "a path for a rule": ["--ab", "../bypass"],
    "nothing for a rule": ["--ab", ""],
    "another feature": ["--ab", "shop", "--feature", "cache"],
    "a rule without its option": ["shop"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_what_is_no_question_ends_with_2_and_nobody_is_asked(monkeypatch, arguments):
    monkeypatch.setattr("proxy.cli.report.sent", lambda *_: pytest.fail("nothing is to be sent"))
    result = CliRunner().invoke(app, ["report", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")
