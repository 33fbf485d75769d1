"""The config file, read again while the proxy runs: what counts at once, and what after a restart."""

from collections.abc import Callable
from typing import Any

import pytest
from fakes import FakeClock

from proxy.config import Config, from_mapping
from proxy.core.rollout import NORMALIZE, SPLIT, Stage
from proxy.errors import ConfigError, Finding
from proxy.mode import Mode
from proxy.reload import LastReload, Reload
from proxy.rollouts import Rollouts
from proxy.rules_of import rules_of

SPLITS = {"by": {"query_list": {"name": "ids"}}, "merge": {"keyed": {"items": "$"}}}
STAGED = {"split": {"mode": "on"}, "normalize": {"mode": "canary", "percent": 5}}


def config(mode: str = "on", *, rollout: Any = None, **more: Any) -> Config:
    rule = {"name": "shop", "match": {"path": "/shop"}, "key": ["sort_params"], "split": SPLITS}
    rules = [rule if rollout is None else {**rule, "rollout": rollout}]
    return from_mapping({"upstream": "http://127.0.0.1:9", "mode": mode, "rules": rules, **more}, {})


class Running:
    """What a proxy with this config would reload; `told` are the events of its log."""

    def __init__(self, began: Config) -> None:
        self.told: list[dict[str, Any]] = []
        self.mode = Mode()
        self.rollouts = Rollouts(rules_of(began, b"")[0], FakeClock())
        rules = lambda one: rules_of(one, b"")[0]  # noqa: E731
        self.clock = FakeClock()
        self.last = LastReload(self.clock.wall())
        self._reload = Reload(began, self.rollouts, self.mode, rules, self._tell, self.last, self.clock)

    def _tell(self, **told: Any) -> None:
        self.told.append(told)

    def reload(self, load: Callable[[], Config]) -> dict[str, Any]:
        self._reload(load)
        return self.told[-1]

    @property
    def stages(self) -> tuple[Stage, Stage]:
        return self.rollouts.stage("shop", SPLIT), self.rollouts.stage("shop", NORMALIZE)


OFF = {"split": {"mode": "off"}, "normalize": {"mode": "canary", "percent": 5}}
RELOADS: dict[str, tuple[Config, tuple[Stage, Stage], list[str], list[str]]] = {
    "nothing": (config(rollout=STAGED), (Stage.ON, Stage.CANARY), [], []),
    "a split is off": (config(rollout=OFF), (Stage.OFF, Stage.CANARY), ["shop split"], []),
    "both": (config(rollout={}), (Stage.SHADOW, Stage.ON), ["shop split", "shop normalize"], []),
    "another place": (config(rollout=STAGED, listen="127.0.0.1:1"), (Stage.ON, Stage.CANARY), [], ["listen"]),
    "how answers are compared": (
        config(rollout={**OFF, "compare": "json"}), (Stage.OFF, Stage.CANARY), ["shop split"], ["rules"]
    ),
}  # fmt: skip


@pytest.mark.parametrize(("again", "stages", "rolled_out", "after_restart"), RELOADS.values(), ids=RELOADS)
def test_what_counts_at_once(
    again: Config, stages: tuple[Stage, Stage], rolled_out: list[str], after_restart: list[str]
) -> None:
    here = Running(config(rollout=STAGED))
    told = here.reload(lambda: again)
    assert here.stages == stages
    assert (told["rolled_out"], told["after_restart"], told["warning"]) == (
        rolled_out, after_restart, bool(after_restart),
    )  # fmt: skip


def test_a_kill_switch_in_a_rule_that_said_nothing_before_waited_for_a_restart() -> None:
    here = Running(config())
    told = here.reload(lambda: config(rollout={"normalize": {"mode": "off"}}))
    assert (told["rolled_out"], told["after_restart"]) == (["shop normalize"], [])
    assert here.stages == (Stage.SHADOW, Stage.OFF)


def test_the_whole_proxy_observes_and_serves_again() -> None:
    here = Running(config())
    for mode in ("observe", "on"):
        assert here.reload(lambda mode=mode: config(mode))["mode"] == mode  # type: ignore[misc]
        assert here.mode.observing is (mode == "observe")


def test_the_file_is_the_last_word_on_what_it_says_otherwise() -> None:
    here = Running(config(rollout=STAGED))
    here.rollouts.set("shop", Stage.SHADOW, SPLIT)
    here.rollouts.set("shop", Stage.OFF, NORMALIZE)
    here.reload(lambda: config(rollout=OFF))
    assert here.stages == (Stage.OFF, Stage.OFF)
    here.reload(lambda: config(rollout=STAGED))
    assert here.stages == (Stage.ON, Stage.OFF)


def test_a_file_that_cannot_be_used_changes_nothing() -> None:
    here = Running(config(rollout=STAGED))

    def broken() -> Config:
        raise ConfigError([Finding("config.yaml:1:1", "mode", "of", "one of on, observe")])

    told = here.reload(broken)
    assert (here.stages, told["warning"]) == ((Stage.ON, Stage.CANARY), True)
    assert "config.yaml:1:1" in told["message"]


def test_whether_it_could_be_used_when_it_was_last_read():
    running = Running(config())
    began = running.clock.wall()
    assert (running.last.successful, running.last.succeeded_at) == (True, began)
    running.clock.advance(10)

    def unreadable() -> Config:
        raise ConfigError([Finding("file", "mode", "x", "on")])

    running.reload(unreadable)
    assert (running.last.successful, running.last.succeeded_at) == (False, began)
    running.reload(config)
    assert (running.last.successful, running.last.succeeded_at) == (True, began + 10)
