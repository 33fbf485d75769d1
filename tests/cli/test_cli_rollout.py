"""`frontrunner rollout` tells how far rules' features are rolled out, and sets it."""

import pytest
from typer.testing import CliRunner

from proxy.cli import app

CHECKS = {"reassembly": {"clean": 12}, "pair": {"clean": 3, "noisy": 1}}
SPLIT = {"mode": "on", "state": "running", "configured": "shadow", "checks": CHECKS, "not_cut": {}, "exposed": 0}
SHOP = {"rule": "shop", "split": SPLIT}
SPARE = {
    "rule": "spare",
    "split": {**SPLIT, "mode": "off", "state": "off", "checks": {}, "not_cut": {"frame": 2, "no_ttl": 1}},
}
SHOP_LINE = "shop: split is on (running, configured shadow); reassembly 12 clean; pair 3 clean, 1 noisy"
SPARE_LINE = "spare: split is off (off, configured shadow); not cut: frame 2, no_ttl 1"
NORMAL = {"mode": "canary", "percent": 2.5, "state": "held", "configured": "on", "checks": {}, "exposed": 0}


@pytest.fixture
def rollout(monkeypatch):
    """Run the command against a proxy that says this; return what was printed, and what it was asked."""

    def run(told, *arguments):
        seen = []
        monkeypatch.setattr("proxy.cli.rollout.sent", lambda *asked: seen.append(asked) or told)
        result = CliRunner().invoke(app, ["rollout", *arguments, "--url", "http://p", "--token", "t"])
        assert result.exit_code == 0, result.output
        ((url, token, path, wanted, asked),) = seen
        assert (url, token) == ("http://p", "t")
        return result.stdout.splitlines(), (path, wanted, asked)

    return run


@pytest.mark.parametrize("arguments", [[], ["--all"]], ids=["nothing", "all"])
def test_without_a_rule_it_tells_of_all(rollout, arguments):
    printed, asked = rollout({"rules": [SHOP, SPARE]}, *arguments)
    assert printed == [SHOP_LINE, SPARE_LINE]
    assert asked == ("rollout", "rules", None)


def test_where_no_rule_splits_it_says_so(rollout):
    assert rollout({"rules": []})[0] == ["no rule splits or normalizes"]


def test_one_rule(rollout):
    assert rollout(SHOP, "shop") == ([SHOP_LINE], ("rollout/shop", "rule", None))


def both(**normalize):
    return {**SHOP, "normalize": {**NORMAL, **normalize}}


TOLD = {
    "nothing was found yet": (both(), "canary 2.5 % (held, configured on); nothing compared yet"),
    "the default canary": (both(percent=1.0), "canary 1 % (held, configured on); nothing compared yet"),
    "wrong answers had left": (both(exposed=2), "canary 2.5 % (held, configured on); 2 wrong answers had left"),
}


@pytest.mark.parametrize(("said", "line"), TOLD.values(), ids=TOLD)
def test_each_feature_has_its_line(rollout, said, line):
    assert rollout(said, "shop")[0] == [SHOP_LINE, f"shop: normalize is {line}"]


MODES = {
    "off": {"mode": "off"},
    "shadow": {"mode": "shadow"},
    "canary": {"mode": "canary"},
    "canary:0.25": {"mode": "canary", "percent": 0.25},
    "on": {"mode": "on"},
    "configured": {"mode": None},
}


def test_two_features_are_set_at_once(rollout):
    wanted = {"split": {"mode": "off"}, "normalize": {"mode": "on"}}
    assert rollout(SPARE, "spare", "split=off", "normalize=on")[1] == ("rollout/spare", "rule", wanted)


@pytest.mark.parametrize("feature", ["split", "normalize"])
@pytest.mark.parametrize(("word", "mode"), MODES.items(), ids=MODES)
def test_a_mode_is_set_for_one_or_for_all(rollout, feature, word, mode):
    wanted = {feature: mode}
    assert rollout(SPARE, "spare", f"{feature}={word}") == ([SPARE_LINE], ("rollout/spare", "rule", wanted))
    assert rollout(SPARE, f"{feature}={word}", "spare") == ([SPARE_LINE], ("rollout/spare", "rule", wanted))
    assert rollout({"rules": [SHOP]}, "--all", f"{feature}={word}") == ([SHOP_LINE], ("rollout", "rules", wanted))


WRONG = {
    "for nobody": ["split=off"],
    "two rules": ["a", "b"],
    "one and all": ["a", "--all"],
    "one and all, set": ["a", "--all", "split=off"],
    "two modes": ["a", "split=off", "split=on"],
    "another mode": ["a", "split=half"],
    "no mode": ["a", "split="],
    "a percentage of all": ["a", "split=on:5"],
    "too large a percentage": ["a", "split=canary:100.1"],
    "a percentage below nothing": ["a", "split=canary:-1"],
    "no number": ["a", "split=canary:few"],
    "not a number": ["a", "split=canary:nan"],
    "a mode in capitals": ["a", "split=OFF"],
    "another assignment": ["shadow=off", "a"],
    "an assignment for a rule": ["shadow=off"],
    "a path for a rule": ["../bypass"],
    "nothing for a rule": [""],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG)
def test_what_is_no_order_ends_with_2_and_nobody_is_asked(monkeypatch, arguments):
    monkeypatch.setattr("proxy.cli.rollout.sent", lambda *_: pytest.fail("nothing is to be sent"))
    result = CliRunner().invoke(app, ["rollout", *arguments])
    assert (result.exit_code, result.stdout) == (2, "")


def test_a_terminal_obeys_no_name(rollout):
    printed, _ = rollout({"rules": [{**SHOP, "rule": "a\x1b[2J"}]})
    assert printed == [SHOP_LINE.replace("shop", r"a\x1b[2J")]
