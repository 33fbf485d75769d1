"""Turn a word of the config into the object it names: `{lower: [q]}` is `Lower(names=("q",))` in core/normalize/lower.py.

One grammar for all kinds: `word`, or `{word: options}`, where options are a mapping of the fields of the word's frozen
dataclass, or a bare list or scalar for its first field. Where its only field is a mapping, the options are that mapping:
`{alias_params: {q: [query]}}`. A stranger's word is `their_pkg.module:Class`.
"""

import importlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from difflib import get_close_matches
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.json_schema import GenerateJsonSchema

from proxy.errors import ConfigError, Finding

PACKAGES: Final[dict[str, str]] = {
    "normalize": "proxy.core.normalize",
    "split": "proxy.core.split",
    "merge": "proxy.core.merge",
    "compare": "proxy.core.compare",
    "format": "proxy.core.format",
    "schema": "proxy.core.schema",
    "evict": "proxy.core.evict",
    "store": "proxy.store",
    "upstream": "proxy.upstream",
}
NEEDED: Final[Mapping[str, tuple[str, ...]]] = {
    "normalize": ("normalize", "version"),
    "compare": ("difference",),
    "evict": ("rank",),
    "split": ("plan", "build", "version"),
    "merge": ("check", "slice", "merge", "equal", "version"),
}  # those that load
STRANGER: Final = r"[A-Za-z_][\w.]*:[A-Za-z_]\w*"

# What pydantic calls wrong, in our words; a type of error that is missing here keeps pydantic's, less its preamble.
ALLOWED: Final[Mapping[str, str]] = {
    "string_type": "a text (in quotes, if it looks like something else)",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "dataclass_type": "a mapping",
}

_options = ConfigDict(strict=True, extra="forbid")


@dataclass(frozen=True, slots=True)
class Plugin:
    """A word of the config and the object it made."""

    word: str
    made: Any


class PlainSchema(GenerateJsonSchema):
    """JSON Schema for editors: no titles that repeat names, no defaults in units that no config is written in."""

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - pydantic's signature
        """Leave titles out."""
        return False

    def default_schema(self, schema: Any) -> Any:
        """Leave defaults out; the descriptions tell them."""
        return self.generate_inner(schema["schema"])


def catalogue(kind: str) -> tuple[str, ...]:
    """Return the words of a kind: the files of its folder that define the class their name asks for.

    Nothing is imported: a leaf may need a parser that is loaded only when a config names it.
    """
    spec = find_spec(PACKAGES[kind])
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    files = [file for folder in folders for file in Path(folder).glob("[!_]*.py")]
    return tuple(sorted(file.stem for file in files if _defines(file, class_name(file.stem))))


def class_name(word: str) -> str:
    """Return the name of a word's class: sort_params → SortParams."""
    return "".join(part.capitalize() for part in word.split("_"))


def attribute(name: str) -> Any:
    """Return what `package.module:attribute` names. Raises ImportError or AttributeError where there is no such thing."""
    module, _, attribute_ = name.partition(":")
    return getattr(importlib.import_module(module), attribute_)


def find(kind: str, word: str) -> Any:
    """Return the class that a word names.

    Raises:
        ConfigError: no such word, or its module cannot be imported.
    """
    known = catalogue(kind)
    if word not in known and not re.fullmatch(STRANGER, word):
        raise _wrong(word, f"one of {_list(known)}", nearest(word, known), part="key")
    module, _, name = word.partition(":")
    if not name:
        module, name = f"{PACKAGES[kind]}.{word}", class_name(word)
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise _wrong(word, f"a class that can be imported ({error})", part="key") from error


def load(kind: str, item: object) -> Plugin:
    """Return the plug-in that an item of the config describes.

    Raises:
        ConfigError: its findings have paths relative to the item, and `key` or `value` as their place.
    """
    word, options = _word_and_options(kind, item)
    try:
        found = find(kind, word)
        needed = NEEDED.get(kind, ())
        if not (isinstance(found, type) and is_dataclass(found) and all(hasattr(found, name) for name in needed)):
            having = f" with {' and '.join(needed)}" if needed else ""
            raise _wrong(word, f"the name of a frozen dataclass{having}", part="key")
        return Plugin(word, _make(found, word, options))
    except ConfigError as error:
        alone = isinstance(item, str)  # then the word is the value, and no option has a place of its own
        raise ConfigError([_below(one, word, alone=alone) for one in error.findings]) from error


def options_schema(kind: str, word: str) -> dict[str, Any]:
    """Return the JSON Schema of a word's options, long form and short."""
    found = find(kind, word)
    schema = TypeAdapter(list[found], config=_options).json_schema(  # type: ignore[valid-type]
        schema_generator=PlainSchema, ref_template="{model}"
    )
    definitions = schema["$defs"]
    long = _inlined(definitions[found.__name__], definitions)
    names = _option_names(found)
    first = [long["properties"][name] for name in names[:1]]
    if _is_one_mapping(found):
        return {"description": long["description"], **first[0]}
    return {"anyOf": [long, *first]} if names else long


def nearest(word: str, words: tuple[str, ...]) -> str:
    """Return the word that was probably meant, or ""."""
    by_lower = {one.lower(): one for one in words}
    return next((by_lower[one] for one in get_close_matches(word.lower(), by_lower, 1)), "")


def path_text(steps: tuple[int | str, ...]) -> str:
    """Return a path as findings show it: ("rules", 0, "key") → rules[0].key."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def phrase(error: Any) -> str:
    """Return what is allowed where pydantic found an error, in plain words."""
    kind = error["type"]
    if kind == "value_error":
        return str(error["ctx"]["error"])
    if kind == "literal_error":
        return f"one of {error['ctx']['expected']}".replace("'", "").replace(" or ", ", ")
    return ALLOWED.get(kind) or str(error["msg"]).removeprefix("Input should be ")


def _word_and_options(kind: str, item: object) -> tuple[str, object]:
    if isinstance(item, str):
        return item, {}
    if isinstance(item, Mapping) and len(item) == 1:
        return next((str(word), options) for word, options in item.items())
    found = f"a mapping of {len(item)} words" if isinstance(item, Mapping) else _written(item)
    raise _wrong(found, f"one word, or {{word: options}}; the words: {_list(catalogue(kind))}")


def _make(found: type, word: str, options: object) -> Any:
    names = _option_names(found)
    short = None if isinstance(options, Mapping) and not _is_one_mapping(found) else names[:1]
    if short == ():
        raise _wrong(_written(options), f"{word} without options")
    given = {short[0]: options} if short else options
    # The list carries our strictness into the dataclass, whose own config this is not; JSON makes its lists tuples.
    adapter = TypeAdapter(list[found], config=_options)  # type: ignore[valid-type]
    try:
        return adapter.validate_json(json.dumps([given]), strict=True)[0]
    except ValidationError as errors:
        wrong = [_option(error | {"loc": _steps(error, given)}, word, found, short) for error in errors.errors()]
        raise ConfigError(_merged(wrong)) from errors
    except TypeError as error:
        raise _wrong(_written(options), "texts, numbers, lists and mappings") from error


def _option(error: Any, word: str, made: Any, short: tuple[str, ...] | None) -> Finding:
    steps = error["loc"][1:]  # the first is the list around it
    name = str(steps[-1]) if steps else ""
    if error["type"] == "unexpected_keyword_argument":
        names = _option_names(_type_at(made, steps[:-1]))
        allowed = f"one of {', '.join(names)}" if names else "no options"
        return Finding("key", path_text(steps), name, allowed, nearest(name, names))
    if error["type"] == "missing":
        return Finding("value", path_text(steps), "nothing", f"a value: {name} is required")
    found, allowed = error["input"], phrase(error)
    if error["type"] == "value_error":
        steps, found = _meant(steps, found, allowed)
        allowed = f"what {word} accepts ({allowed})"
    if short and steps[:1] == short:
        steps = steps[1:]
    return Finding("value", path_text(steps), _written(found), allowed)


def _steps(error: Any, given: Any) -> tuple[int | str, ...]:
    """Return an error's path without what pydantic adds to tell which of several types it tried."""
    steps: list[int | str] = [error["loc"][0]]
    for step in error["loc"][1:]:
        there = isinstance(given, list) if isinstance(step, int) else isinstance(given, dict) and step in given
        if there or error["type"] == "missing":
            steps.append(step)
            given = given[step] if there else None
    return tuple(steps)


def _merged(findings: list[Finding]) -> list[Finding]:
    """Return one finding for each place: all that is allowed there, and none where the mistake is further inside."""
    one: dict[tuple[str, str], Finding] = {}
    for finding in findings:
        place = finding.where, finding.path
        allowed = f"{one[place].allowed}, or {finding.allowed}" if place in one else finding.allowed
        one[place] = replace(finding, allowed=allowed)
    inside = [path for where, path in one if where == "value"]
    return [
        finding
        for (where, path), finding in one.items()
        if not (where == "value" and any(other.startswith((f"{path}.", f"{path}[")) for other in inside))
    ]


def _is_one_mapping(found: Any) -> bool:
    names = _option_names(found)
    return len(names) == 1 and get_origin(get_type_hints(found)[names[0]]) is Mapping


def _meant(steps: tuple[int | str, ...], value: Any, message: str) -> tuple[tuple[int | str, ...], Any]:
    """Return the option that a dataclass complains of, if its message quotes it, else all of them."""
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in members:
        inner = _meant((*steps, step), member, message)
        if isinstance(inner[1], str) and repr(inner[1]) in message:
            return inner
    return steps, value


def _option_names(found: Any) -> tuple[str, ...]:
    return tuple(one.name for one in fields(found) if one.init) if is_dataclass(found) else ()


def _type_at(made: Any, steps: tuple[int | str, ...]) -> Any:
    """Return the dataclass at a path of the options, through lists and what may be left out."""
    for step in steps:
        if isinstance(step, str) and made is not None:
            made = _dataclass_in(get_type_hints(made).get(step))
    return made


def _dataclass_in(hint: Any) -> Any:
    return hint if is_dataclass(hint) else next(filter(None, map(_dataclass_in, get_args(hint))), None)


def _inlined(node: Any, definitions: Mapping[str, Any]) -> Any:
    if isinstance(node, dict):
        if "$ref" in node:
            return _inlined(definitions[node["$ref"]], definitions)
        return {key: _inlined(member, definitions) for key, member in node.items()}
    return [_inlined(item, definitions) for item in node] if isinstance(node, list) else node


def _defines(file: Path, name: str) -> bool:
    return re.search(rf"^class {name}\b", file.read_text("utf-8"), re.MULTILINE) is not None


def _written(value: object) -> str:
    plain = {None: "nothing", True: "true", False: "false"}
    if isinstance(value, bool | None):
        return plain[value]
    return "a mapping" if isinstance(value, Mapping) else "a list" if isinstance(value, list | tuple) else str(value)


def _list(words: tuple[str, ...]) -> str:
    return ", ".join([*words, "their_pkg.module:Class"])


def _below(finding: Finding, word: str, *, alone: bool) -> Finding:
    if alone:
        return Finding("value", "", word, finding.allowed, finding.nearest)
    joint = "." if finding.path and not finding.path.startswith("[") else ""
    return Finding(finding.where, f"{word}{joint}{finding.path}", finding.found, finding.allowed, finding.nearest)


def _wrong(found: str, allowed: str, near: str = "", part: str = "value") -> ConfigError:
    return ConfigError([Finding(part, "", found, allowed, near)])
