"""Read config.yaml, flags and variables into a Config, or raise one ConfigError with all that is wrong at once."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast, get_args

from pydantic import ValidationError

from proxy import plugins, strict_yaml
from proxy.config_shape import Admin, Config, Engine, Log, Match, Rule, Store, Timeouts, Upstream
from proxy.config_values import Listen, Value
from proxy.errors import ConfigError, Finding
from proxy.plugins import Plugin
from proxy.shape import Shape
from proxy.strict_yaml import Tree

__all__ = [
    "Admin",
    "Config",
    "ConfigUnreadable",
    "Engine",
    "Listen",
    "Log",
    "Match",
    "Plugin",
    "Rule",
    "Store",
    "Timeouts",
    "Upstream",
    "from_mapping",
    "json_schema",
    "load",
]

# The grammar's keys whose features this release does not have, with the values that it can do without them (None:
# leave it out). To build a feature is to delete its row.
NOT_BUILT: Final[Mapping[str, object]] = {
    "admin.listen": None,
}
DEFAULT_LISTEN: Final = "127.0.0.1:8080"
FLAGS: Final = "command line"
NO_KEYS: Final = "no options here"
SECRETS: Final = ("admin.token",)

_no_flags: Mapping[str, object] = MappingProxyType({})


class ConfigUnreadable(ConfigError):
    """The file cannot be read at all, so nothing is known of what is in it."""


def load(path: Path | None, flags: Mapping[str, object] = _no_flags, env: Mapping[str, str] = os.environ) -> Config:
    """Read a file, with `flags` (dotted paths such as log.to) on top; no file is needed where they name an upstream.

    Raises:
        ConfigUnreadable: the file cannot be opened.
        ConfigError: what it says cannot be used; holds every finding.
    """
    tree = strict_yaml.read(_bytes(path), str(path), env) if path else strict_yaml.plain({}, FLAGS, env)
    if tree.value is None and not _is_broken(tree):  # an empty file
        tree.value = {}
    if isinstance(tree.value, dict):
        for flag, value in _dotted(flags, tree.value):
            tree.put(flag, value, FLAGS)
    return _config(tree)


def from_mapping(tree: Mapping[str, Any], env: Mapping[str, str] = os.environ) -> Config:
    """Take a config that is already in memory, such as a dict; variables in its texts are filled in.

    Raises:
        ConfigError: it cannot be used; holds every finding.
    """
    return _config(strict_yaml.plain(tree, "config", env))


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(strict_yaml.MAX_BYTES + 1)
    except OSError as error:
        finding = Finding(str(path), "", error.strerror or str(error), "a file that can be read")
        raise ConfigUnreadable([finding]) from error


def _is_broken(tree: Tree) -> bool:
    return tree.value is None and bool(tree.findings)


def _dotted(flags: Mapping[str, object], value: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the flags as paths of the file's own form: an upstream may be short there, an address is one text."""
    rest = {path: flag for path, flag in flags.items() if flag is not None}
    if "upstream" in rest and isinstance(value.get("upstream"), dict):
        rest["upstream.url"] = rest.pop("upstream")
    host, port = rest.pop("listen.host", None), rest.pop("listen.port", None)
    if host is not None or port is not None:
        given = rest.get("listen", value.get("listen"))
        has_port = isinstance(given, str) and ":" in given and not given.startswith("unix:")
        old_host, _, old_port = str(given if has_port else DEFAULT_LISTEN).rpartition(":")
        host = old_host if host is None else host
        rest["listen"] = f"[{host}]" if ":" in str(host) and "[" not in str(host) else host
        rest["listen"] = f"{rest['listen']}:{old_port if port is None else port}"
    yield from rest.items()


def _config(tree: Tree) -> Config:
    for path in SECRETS:
        if path in tree.written:
            tree.written[path] = "what is not shown here"
    if _is_broken(tree):
        raise ConfigError(tree.findings)
    value = tree.value
    if not isinstance(value, dict):
        allowed = "a mapping, such as upstream: http://legacy:8000"
        raise ConfigError([*tree.findings, Finding(tree.where(""), "", tree.found(""), allowed)])
    findings = [
        *tree.findings,
        *_not_built(tree, value),
        *_same_names(tree, value),
        *_offered(tree, value),
        *_aliased(tree, value),
        *_alone(tree, value),
    ]
    try:
        config = Config.model_validate(value)
    except ValidationError as errors:
        findings += [one for error in errors.errors() for one in _findings(tree, error)]
    if findings:
        raise ConfigError(sorted(dict.fromkeys(findings), key=_line_and_column))
    return config


def _not_built(tree: Tree, value: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding for each key that this release cannot honour, and take it out of the tree."""
    for row, built in NOT_BUILT.items():
        section, _, key = row.rpartition(".")
        for path, members in _sections(value, section):
            full = f"{path}.{key}" if path else key
            if key in members and members[key] != built and not tree.blames(full):
                instead = "leave it out" if built is None else built
                allowed = f"{instead} (the key {key} is known, but its feature is not built in this release)"
                del members[key]
                yield Finding(tree.where(full, "key"), full, tree.found(full), allowed)


def _sections(value: dict[str, Any], section: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the mappings that a section of the table means, with their paths."""
    found = value.get(section.removesuffix("[]")) if section else value
    if section.endswith("[]") and isinstance(found, list):
        yield from ((f"rules[{index}]", rule) for index, rule in enumerate(found) if isinstance(rule, dict))
    elif isinstance(found, dict):
        yield section, found


def _same_names(tree: Tree, value: dict[str, Any]) -> Iterator[Finding]:
    first: dict[str, str] = {}
    for path, rule in _sections(value, "rules[]"):
        name, here = rule.get("name"), f"{path}.name"
        if isinstance(name, str) and first.setdefault(name, here) != here:
            allowed = f"each name once; it is already at {tree.where(first[name])}"
            yield Finding(tree.where(here), here, tree.found(here), allowed)


def _alone(tree: Tree, value: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding for workers that have no store in common: they could take no turns, nor count together."""
    store = next((members for _, members in _sections(value, "store")), {})
    shares = store.get("redis") or (store.get("disk", "auto") != "off" and not store.get("aiocache"))
    if value.get("workers") not in {None, 1} and isinstance(value.get("workers"), int) and not shares:
        allowed = "1, or a store that processes share (store.disk or store.redis)"
        yield Finding(tree.where("workers", "key"), "workers", tree.found("workers"), allowed)


def _offered(tree: Tree, value: dict[str, Any]) -> Iterator[Finding]:
    for path, rule in _sections(value, "rules[]"):
        if rule.get("query") == "offer" and rule.get("safe") is not True:
            here = f"{path}.query"
            yield Finding(
                tree.where(here), here, "offer", "offer beside safe: true, your word that its POST only reads"
            )


def _aliased(tree: Tree, value: dict[str, Any]) -> Iterator[Finding]:
    """Yield a finding where an alias does not say which path it stands for."""
    for path, rule in _sections(value, "rules[]"):
        aliases, match = rule.get("aliases"), rule.get("match")
        own = match.get("path") if isinstance(match, dict) else None
        if not isinstance(aliases, dict) or not aliases:
            continue
        if isinstance(own, str) and "*" in own:
            here = f"{path}.match.path"
            yield Finding(tree.where(here), here, tree.found(here), "a path without *, for the rule has aliases of it")
        for alias in aliases:
            here = f"{path}.aliases.{alias}"
            if "*" in alias or alias == own:
                allowed = "another path than the rule's own, without *"
                yield Finding(tree.where(here, "key"), here, alias, allowed)


def _findings(tree: Tree, error: Any) -> Iterator[Finding]:
    """Yield what one of pydantic's errors means, with the place and the words of the file."""
    path = plugins.path_text(error["loc"])
    for one in error["ctx"]["findings"] if error["type"] == "findings" else [_plain(error)]:
        full, part = _below(path, one.path), one.where
        known = tree.known(full)
        if known != full and tree.found(known) not in {"a mapping", "a list", "nothing"}:
            full, part = known, "value"  # a bare value, which stands for a whole mapping
        if not tree.blames(full):
            found = one.found if part == "key" else tree.found(full)
            yield Finding(tree.where(full, part), full, found, tree.hides(one.allowed), one.nearest)


def _plain(error: Any) -> Finding:
    """Return one of pydantic's own errors as a finding that is relative to its place."""
    *outer, last = error["loc"]
    holder, shape = _shape(outer), _shape(error["loc"])
    if error["type"] == "extra_forbidden" and holder:
        names = _names(holder)
        allowed = f"one of {', '.join(names)}" if names else NO_KEYS
        return Finding("key", "", last, allowed, plugins.nearest(last, names))
    if error["type"] == "missing" and holder:
        return Finding("value", "", "", f"{_allowed(holder, last)}; {last} is required")
    if error["type"] == "model_type" and shape:
        return Finding("value", "", "", _allowed_mapping(shape))
    return Finding("value", "", "", plugins.phrase(error))


def _shape(steps: Iterable[int | str]) -> type[Shape] | None:
    """Return the shape at a path of the grammar, if a mapping stands there."""
    shape: type[Shape] = Config
    for step in steps:
        if isinstance(step, str):
            field = shape.model_fields.get(step)
            kinds = [field.annotation, *get_args(field.annotation)] if field else []
            inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Shape)), None)
            if inner is None:
                return None
            shape = inner
    return shape


def _names(shape: type[Shape]) -> tuple[str, ...]:
    return tuple(field.alias or name for name, field in shape.model_fields.items())


def _allowed(shape: type[Shape], name: str) -> str:
    field = shape.model_fields[name]
    texts = [value.allowed for value in field.metadata if isinstance(value, Value)]
    return texts[0] if texts else _allowed_mapping(cast("type[Shape]", field.annotation))


def _allowed_mapping(shape: type[Shape]) -> str:
    mapping = f"a mapping of {', '.join(_names(shape))}" if shape.model_fields else NO_KEYS
    return f"{_allowed(shape, shape.short[0])}, or {mapping}" if shape.short else mapping


def _below(path: str, relative: str) -> str:
    return f"{path}{'' if not relative or relative.startswith('[') else '.'}{relative}"


def _line_and_column(finding: Finding) -> tuple[int, ...]:
    return tuple(int(number) for number in finding.where.split(":")[-2:] if number.isdigit())


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (draft 7) of config.yaml for editors, with all plug-ins that are here."""
    schema = Config.model_json_schema(ref_template="#/definitions/{model}", schema_generator=plugins.PlainSchema)
    schema["definitions"] = schema.pop("$defs")
    return {"$schema": "http://json-schema.org/draft-07/schema#", **_completed(schema)}


def _completed(node: Any) -> Any:
    """Fill in the plug-ins, and give each `$ref` a place of its own: draft 7 ignores what stands beside one."""
    if isinstance(node, list):
        return [_completed(item) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(node.get("plugin"), str):
        return _plugin_schema(node["plugin"])
    node = {key: _completed(member) for key, member in node.items()}
    return node if "$ref" not in node or len(node) == 1 else {"allOf": [{"$ref": node.pop("$ref")}], **node}


def _plugin_schema(kind: str) -> dict[str, Any]:
    schemas = {word: plugins.options_schema(kind, word) for word in plugins.catalogue(kind)}
    bare = [word for word, schema in schemas.items() if "required" not in schema.get("anyOf", [schema])[0]]
    long = {"properties": schemas, "patternProperties": {":": {}}, "additionalProperties": False}
    one = {"type": "object", "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": [*bare]}, {"type": "string", "pattern": f"^({plugins.STRANGER})$"}, {**one, **long}]}


def main() -> None:
    """Write the JSON Schema to stdout: `python -m proxy.config > proxy/config.schema.json`."""
    sys.stdout.write(json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
