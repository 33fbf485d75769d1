"""The config file, read again while the proxy runs: its mode and rollouts count at once, all else after a restart."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from proxy.clock import Clock
from proxy.config import Config
from proxy.config import Rule as RuleConfig
from proxy.config_rollout import Rollout
from proxy.core.rules import Rule
from proxy.errors import ConfigError
from proxy.mode import Mode
from proxy.rollouts import Rollouts

_AT_ONCE: Final = ("mode", "rules")
_OF_FEATURES: Final = frozenset({"split", "normalize"})


@dataclass(slots=True)
class LastReload:
    """Whether the config could be used when it was last read, and when it last could, in wall-clock seconds."""

    succeeded_at: float
    successful: bool = True


class Reload:
    """Reads the config with `load`, and lets the parts of it count that may; `rules_of` makes its rules.

    `tell` gets an event of the log, and whether it is a warning.
    """

    def __init__(
        self,
        config: Config,
        rollouts: Rollouts,
        mode: Mode,
        rules_of: Callable[[Config], Sequence[Rule]],
        tell: Callable[..., None],
        last: LastReload,
        clock: Clock,
    ) -> None:
        self._last = last
        self._clock = clock
        self._config = config
        self._rollouts = rollouts
        self._mode = mode
        self._rules_of = rules_of
        self._tell = tell

    def __call__(self, load: Callable[[], Config]) -> None:
        """Read the config again; one that cannot be used changes nothing."""
        try:
            config = load()
        except ConfigError as error:
            self._last.successful = False
            self._tell(warning=True, message=f"the config was not reloaded: {error}")
            return
        self._last.successful, self._last.succeeded_at = True, self._clock.wall()
        after_restart = [
            name
            for name in type(config).model_fields
            if name not in _AT_ONCE and getattr(config, name) != getattr(self._config, name)
        ]
        if _without_features(config.rules) != _without_features(self._config.rules):
            after_restart.append("rules")
        self._mode.observing = config.mode == "observe"
        rolled_out = self._roll_out(config)
        told = {"mode": config.mode, "rolled_out": rolled_out, "after_restart": after_restart}
        self._tell(warning=bool(after_restart), message="the config was reloaded", **told)

    def _roll_out(self, config: Config) -> list[str]:
        """Let the file decide on what it says otherwise than before, whatever an operator set since."""
        changed = [
            (rule, feature)
            for rule in self._rules_of(config)
            for feature in rule.features
            if feature in self._rollouts.features(rule.name)
            and rule.trust.staging(feature) != self._rollouts.staging(rule.name, feature)
        ]
        for rule, feature in changed:
            self._rollouts.restage(rule, feature)
            self._rollouts.set(rule.name, None, feature)
        return [f"{rule.name} {feature}" for rule, feature in changed]


def _without_features(rules: Sequence[RuleConfig]) -> list[dict[str, object]]:
    """Return rules as plain values, less how far their features are rolled out."""
    return [_plain(rule) for rule in rules]


def _plain(rule: RuleConfig) -> dict[str, object]:
    told = {name: getattr(rule, name) for name in type(rule).model_fields if name != "rollout"}
    rollout = rule.rollout or Rollout()
    return told | {name: getattr(rollout, name) for name in type(rollout).model_fields if name not in _OF_FEATURES}
