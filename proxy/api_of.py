"""The admin API of a proxy, put together."""

from collections.abc import Callable, Sequence

from proxy.admin.acts import Acts, Audit
from proxy.admin.api import Api, Desks
from proxy.admin.cache import ByRule, CacheDesk
from proxy.admin.guard import Guard
from proxy.admin.jobs import JobDesk
from proxy.admin.performance import Counts, PerformanceDesk
from proxy.admin.rollout import RolloutDesk
from proxy.admin.rule_list import RulesDesk
from proxy.clock import Clock
from proxy.config import Config
from proxy.core.rules import Rule
from proxy.core.shown_fields import field_name
from proxy.jobs import Jobs
from proxy.rollouts import Rollouts
from proxy.trials import Trials
from proxy.upstream.slot import LimitStatus


def api_of(
    config: Config,
    rules: Sequence[Rule],
    counts: Counts,
    by_rule: ByRule,
    slots: Callable[[], LimitStatus],
    rollouts: Rollouts,
    trials: Trials,
    acts: Acts,
    jobs: Jobs,
    clock: Clock,
    token: str,
    audit: Audit,
) -> Api:
    """Return the API that a config asks for."""
    admin, names = config.admin, tuple(rule.name for rule in rules)
    desks = Desks(
        PerformanceDesk(counts, slots, clock, names),
        CacheDesk(counts, by_rule, slots, names, frozenset(field_name("query", name) for name in config.log.query)),
        RulesDesk(config.rules, counts, by_rule, rollouts),
        acts,
        RolloutDesk(rollouts, trials.told, trials.report, acts, audit),
        JobDesk(jobs),
    )
    guard = Guard(token, admin.prefix, root=admin.root_paths)
    return Api(desks, counts, slots, guard, admin.prefix, root=admin.root_paths)
