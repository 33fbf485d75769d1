"""The rules of a config → the rules of the core, and what their keys begin with."""

from typing import Any, cast

from proxy.config import Config
from proxy.config import Rule as RuleConfig
from proxy.config_rollout import Normalize, Split
from proxy.config_rollout import Rollout as RolloutConfig
from proxy.config_shape import IN_PROCESS
from proxy.core.composite import Limits
from proxy.core.fan_out import Bounds, Residual
from proxy.core.key import Scope
from proxy.core.rollout import Gate, Gates, Stage, Staging, Trust
from proxy.core.rules import Rule, default_rule, host_pattern, path_pattern
from proxy.core.splitting import Splitting
from proxy.upstream.address import Address


def rules_of(config: Config, secret: bytes) -> tuple[tuple[Rule, ...], dict[str, Scope]]:
    """Return the rules of a config, and what their keys begin with; `secret` hides credentials in keys."""
    by_scheme = config.upstream.url == IN_PROCESS or config.upstream.engine.word == "asgi"
    rules = tuple(_rule(one, config.store.memory, by_scheme=by_scheme) for one in config.rules)
    rules = (*rules, default_rule(by_scheme=by_scheme)) if config.default == "from_origin" else rules
    upstream = Address.parse(config.upstream.url).identity
    return rules, {rule.name: Scope.of(config.store.namespace, upstream, rule, secret) for rule in rules}


def _rule(config: RuleConfig, largest: int, *, by_scheme: bool) -> Rule:
    return Rule(
        name=config.name,
        path=path_pattern(config.match.path),
        methods=frozenset(config.match.method),
        host=host_pattern(config.match.host) if config.match.host else None,
        safe=config.safe,
        normalizers=tuple(cast("Any", plugin.made) for plugin in config.key),
        ttl=config.ttl,
        refresh=config.grace.refresh if config.grace else 0.0,
        error=config.grace.error if config.grace else 0.0,
        override=frozenset(config.override),
        ignore_client=frozenset(config.ignore_client),
        cookies=cast("Any", config.cookies),
        private_by=tuple(name.lower().encode() for name in config.private_by),
        max_object=min(config.max_object, largest),
        max_key_body=config.max_key_body,
        offers_query=config.query == "offer",
        by_scheme=by_scheme,
        soft_deadline=config.prefer_stale_after,
        splitting=_splitting(config),
        trust=Trust() if config.rollout is None else _trust(config.rollout),
        own_path=config.match.path.encode(),
        aliases={path.encode(): cast("Any", arm) for path, arm in (config.aliases or {}).items()},
    )


_MOST_SPLIT_BYTES = 2**20
"""Of a request's body: to cut a larger one holds others up for too long."""


def _splitting(config: RuleConfig) -> Splitting | None:
    split = config.split
    if split is None:
        return None
    return Splitting(
        by=split.by.made,
        merge=split.merge.made,
        min_parts=split.when.min_parts,
        slower_than=split.when.slower_than,
        bounds=Bounds(cast("Residual", split.residual), split.max_parallel, split.extra_work),
        limits=Limits(split.when.max_parts, min(config.max_key_body, _MOST_SPLIT_BYTES), config.max_object),
    )


def _trust(config: RolloutConfig) -> Trust:
    gates = config.gates
    limits = {name: getattr(gates, name) for name in ("mismatch", "errors", "latency", "in_flight", "fallbacks")}
    return Trust(
        split=_staging(config.split, is_watched="split" in config.model_fields_set),
        normalize=_staging(config.normalize, is_watched="normalize" in config.model_fields_set),
        compare=config.compare.made,
        gates=Gates(gates.samples, gates.time, **{name: Gate(one.limit, one.dry_run) for name, one in limits.items()}),
        budget=config.budget,
    )


def _staging(config: Split | Normalize, *, is_watched: bool) -> Staging:
    """Return how a feature is staged; where the owner wrote nothing of it, nobody asks the upstream to watch it."""
    sticky = config.sticky.lower().encode() if config.sticky else None
    return Staging(Stage(config.mode), config.percent, config.audit if is_watched else 0.0, sticky)
