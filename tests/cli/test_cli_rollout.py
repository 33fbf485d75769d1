"""`frontrunner rollout` tells how far splits are rolled out, and sets it."""

import pytest
from typer.testing import CliRunner

from proxy.cli import app

SPLIT = {"mode": "on", "state": "running", "configured": "shadow", "equal": 12, "different": 0, "not_cut": {}}
SHOP = {"rule": "shop", "split": SPLIT}
SPARE = {"rule": "spare", "split": {**SPLIT, "mode": "off", "state": "off", "not_cut": {"frame": 2, "no_ttl": 1}}}
SHOP_LINE = "shop: split is on (running, configured shadow); 12 equal, 0 different, 0 not cut"
SPARE_LINE = "spare: split is off (off, configured shadow); 12 equal, 0 different, 3 not cut (frame 2, no_ttl 1)"


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
    assert rollout({"rules": []})[0] == ["no rule splits"]


def test_one_rule(rollout):
    assert rollout(SHOP, "shop") == ([SHOP_LINE], ("rollout/shop", "split", None))


MODES = {"off": "off", "shadow": "shadow", "on": "on", "configured": None}


@pytest.mark.parametrize(("word", "mode"), MODES.items(), ids=MODES)
def test_a_mode_is_set_for_one_or_for_all(rollout, word, mode):
    wanted = {"split": {"mode": mode}}
    assert rollout(SPARE, "spare", f"split={word}") == ([SPARE_LINE], ("rollout/spare", "split", wanted))
    assert rollout(SPARE, f"split={word}", "spare") == ([SPARE_LINE], ("rollout/spare", "split", wanted))
    assert rollout({"rules": [SHOP]}, "--all", f"split={word}") == ([SHOP_LINE], ("rollout", "rules", wanted))


WRONG = {
    "for nobody": ["split=off"],
    "two rules": ["a", "b"],
    "one and all": ["a", "--all"],
    "one and all, set": ["a", "--all", "split=off"],
    "two modes": ["a", "split=off", "split=on"],
    "another mode": ["a", "split=canary"],
    "no mode": ["a", "split="],
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
