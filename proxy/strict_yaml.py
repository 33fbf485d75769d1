"""Turn YAML into plain mappings, lists and scalars with the place of each, and refuse all that surprises.

YAML 1.2's core rules decide, not PyYAML's 1.1: `on off yes no`, `1:30` and dates are text; only `true` and `false` are
booleans; nothing, `null` and `~` are null. Keys are text as written. What YAML offers beyond a plain tree (tags,
anchors and aliases, merge keys, more documents) is a finding, and so are duplicate keys. Findings are collected, so
that one look at a file shows all of them; only bad syntax ends the reading.

Variables are filled in within scalars; the tree remembers how each was written, so that no secret is ever shown.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml import events

from proxy.errors import Finding
from proxy.variables import fill_in

MAX_BYTES: Final = 1 << 20  # configs are pages, not megabytes; bounds the time of a hostile one
MAX_DEPTH: Final = 50  # the grammar needs 7; PyYAML and we recurse
MAX_NUMBER: Final = 100  # characters; Python refuses to read thousands of digits
MAX_SHOWN: Final = 60
LEAST_SECRET: Final = 3  # shorter ones are no secrets, but may be part of any word

KEY: Final = "a text as key"
QUOTE: Final = "quote a text that holds any of : ? # [ ] { } , & * ! | > ' \" % @ `, and indent with spaces"

# YAML 1.2.2 §10.3.2
NUMBERS: Final = (
    (re.compile(r"[-+]?[0-9]+"), int),
    (re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+"), lambda text: int(text, 0)),
    (re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"), float),
    (re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"), lambda text: float(text.replace(".", ""))),
)
WORDS: Final[Mapping[str, object]] = {"": None, "null": None, "~": None, "true": True, "false": False}

_password = re.compile(r"//\S*@")
_query = re.compile(r"""(://[^\s?#]*)[?#][^\s'"]*""")


@dataclass(slots=True)
class Tree:
    """What a file holds: its plain `value`, where each path stands, how it was written, what is wrong with it.

    A path is `rules[0].split.by`; the root is "". `value` is None where the file cannot be read at all.
    """

    name: str
    value: Any = None
    values: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    written: dict[str, str] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    filled: dict[str, str] = field(default_factory=dict)

    def where(self, path: str, part: str = "value") -> str:
        """Return the place of a path's value, or of its `key`; what is missing is where it should be."""
        if part == "key" and path in self.keys:
            return self.keys[path]
        return self.values.get(self.known(path), self.name)

    def known(self, path: str) -> str:
        """Return the path itself if something stands there, else the nearest one around it."""
        while path and path not in self.values:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return path

    def found(self, path: str) -> str:
        """Return what was written at a path, never what a variable stands for."""
        return self.written.get(path, "nothing")

    def hides(self, text: str) -> str:
        """Return a text with what variables stand for shown as it was written."""
        for value, written in self.filled.items():
            text = text.replace(value, written)
        return text

    def blames(self, path: str) -> bool:
        """Tell whether a finding is about this path or what holds it: one mistake needs no second finding."""
        return any(finding.path and _within(path, finding.path) for finding in self.findings)

    def put(self, path: str, value: object, where: str) -> None:
        """Set the value of a dotted path, noting where it comes from; what was found wrong there is forgotten."""
        *parents, leaf = path.split(".")
        members = self.value
        for parent in parents:
            members = members.setdefault(parent, {})
            if not isinstance(members, dict):
                return  # the file is wrong there, and its finding says more than ours would
        members[leaf] = value
        self.values[path] = self.keys[path] = where
        self.written[path] = shown(value)
        self.findings = [finding for finding in self.findings if not _within(finding.path, path)]


def read(raw: bytes, name: str, env: Mapping[str, str]) -> Tree:
    """Read one YAML document; never raises, all that is wrong is in the tree's findings."""
    tree = Tree(name)
    if len(raw) > MAX_BYTES:
        tree.findings.append(Finding(name, "", f"{len(raw)} bytes", f"a file of at most {MAX_BYTES} bytes"))
        return tree
    try:
        text = raw.decode("utf-8-sig")
        tree.value = _Reader(tree, text, env).document()
    except UnicodeDecodeError as error:
        place = _place(name, raw[: error.start].decode("utf-8-sig", "replace"))
        tree.findings.append(Finding(place, "", f"byte 0x{raw[error.start]:02x}", "text in UTF-8"))
    except yaml.reader.ReaderError as error:
        character = f"character U+{error.character:04X}"
        tree.findings.append(Finding(_place(name, text[: error.position]), "", character, "printable text"))
    except yaml.MarkedYAMLError as error:
        tree.findings.append(_syntax(name, error))
    except _TooDeep as error:
        tree.findings.append(Finding(error.args[0], "", f"level {MAX_DEPTH + 1}", f"at most {MAX_DEPTH} levels"))
    return tree


def plain(mapping: Mapping[Any, Any], name: str, env: Mapping[str, str]) -> Tree:
    """Take a tree that is already in memory; its texts are filled in as quoted ones are, so they stay text."""
    tree = Tree(name)
    try:
        tree.value = _copy(tree, mapping, "", env, 0)
    except _TooDeep:
        tree.findings.append(Finding(name, "", f"level {MAX_DEPTH + 1}", f"at most {MAX_DEPTH} levels"))
    return tree


def shown(value: object) -> str:
    """Return a value as a config would write it, in one short line without passwords, and URLs without queries."""
    if isinstance(value, Mapping | list | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    words = {None: "nothing", True: "true", False: "false", "": '""'}
    text = words[value] if isinstance(value, bool | str | None) and value in words else str(value)
    line, more = text.split("\n", 1) if "\n" in text else (text, "")
    line = _query.sub(r"\1?***", _password.sub("//***@", line.strip()))
    return f"{line[:MAX_SHOWN]}…" if more or len(line) > MAX_SHOWN else line


def resolve(text: str) -> object:
    """Return what a plain scalar means by YAML 1.2's core rules."""
    if text in WORDS:
        return WORDS[text]
    numbers = NUMBERS if len(text) <= MAX_NUMBER else ()
    return next((make(text) for pattern, make in numbers if pattern.fullmatch(text)), text)


class _TooDeep(Exception):
    """The document nests deeper than we follow."""


class _Reader:
    """Walks PyYAML's events once and builds the tree; one per document."""

    def __init__(self, tree: Tree, text: str, env: Mapping[str, str]) -> None:
        self.tree = tree
        self.text = text
        self.env = env
        self.events: Iterator[Any] = yaml.parse(text, Loader=yaml.SafeLoader)

    def document(self) -> Any:
        """Read the first document and complain about a second."""
        value = None
        documents = 0
        for event in self.events:
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._complain(event, "", "a second document", "one document in a file")
                    break
                value = self._value(next(self.events), "", 0)
        return value

    def _value(self, event: Any, path: str, depth: int) -> Any:
        if depth == MAX_DEPTH and isinstance(event, events.CollectionStartEvent):
            raise _TooDeep(self._at(event))
        self.tree.values[path] = self._at(event)
        self._refuse_extras(event, path)
        if isinstance(event, events.ScalarEvent):
            return self._scalar(event, path)
        if isinstance(event, events.SequenceStartEvent):
            self.tree.written[path] = "a list"
            return self._list(path, depth)
        if isinstance(event, events.MappingStartEvent):
            self.tree.written[path] = "a mapping"
            return self._mapping(path, depth)
        return None

    def _refuse_extras(self, event: Any, path: str) -> None:
        if isinstance(event, events.AliasEvent):
            self._complain(event, path, f"the alias *{event.anchor}", "the value itself, written out")
            return
        if event.anchor is not None:
            self._complain(event, path, f"the anchor &{event.anchor}", "the value itself, without an anchor")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._complain(event, path, f"the tag {tag}", "a value without a tag")

    def _list(self, path: str, depth: int) -> list[Any]:
        items: list[Any] = []
        while not isinstance(event := next(self.events), events.SequenceEndEvent):
            items.append(self._value(event, f"{path}[{len(items)}]", depth + 1))
        return items

    def _mapping(self, path: str, depth: int) -> dict[str, Any]:
        members: dict[str, Any] = {}
        while not isinstance(event := next(self.events), events.MappingEndEvent):
            key = self._key(event, path, depth)
            child = f"{path}.{key}" if path else str(key)
            if key in members:
                self._complain(event, child, key, f"each key once; it is already at {self.tree.keys[child]}")
            self.tree.keys.setdefault(child, self._at(event))
            value = self._value(next(self.events), child, depth + 1)
            if key is not None:
                members.setdefault(key, value)
        return members

    def _key(self, event: Any, path: str, depth: int) -> str | None:
        if not isinstance(event, events.ScalarEvent):
            self._complain(event, path, "a key that is not text", KEY)
            if not isinstance(event, events.AliasEvent):
                self._value(event, f"{path}.?", depth + 1)
            return None
        self._refuse_extras(event, path)
        if event.value == "<<" and event.implicit[0]:
            self._complain(event, path, "the merge key <<", "keys and values, written out")
        elif not event.value or not event.value.isprintable():
            self._complain(event, path, "a key that is empty or not printable", KEY)
        else:
            return str(event.value)
        return None

    def _scalar(self, event: Any, path: str) -> object:
        written = self.text[event.start_mark.index : event.end_mark.index]
        self.tree.written[path] = shown(written) if written else "nothing"
        text, whole = _fill(self.tree, path, event.value, self.env)
        return resolve(text) if event.implicit[0] and whole else text  # implicit: plain, neither quoted nor a block

    def _at(self, event: Any) -> str:
        return f"{self.tree.name}:{event.start_mark.line + 1}:{event.start_mark.column + 1}"

    def _complain(self, event: Any, path: str, found: str, allowed: str) -> None:
        self.tree.findings.append(Finding(self._at(event), path, found, allowed))


def _fill(tree: Tree, path: str, text: str, env: Mapping[str, str]) -> tuple[str, bool]:
    """Fill in a scalar's variables, noting what was wrong with them; return its text and whether it is whole."""
    # JSON writes what is beyond 16 bits as two escapes; PyYAML leaves them apart
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")
    filled, wrong = fill_in(whole, env)
    if filled != whole and len(filled) > LEAST_SECRET:
        tree.filled[filled] = tree.written[path]
    if any("\ud800" <= character <= "\udfff" for character in filled):
        wrong.append(("half a character (a lone surrogate)", "text that UTF-8 can carry"))
    tree.findings += [Finding(tree.values[path], path, shown(found), allowed) for found, allowed in wrong]
    return filled, not wrong


def _copy(tree: Tree, value: Any, path: str, env: Mapping[str, str], depth: int) -> Any:
    if depth == MAX_DEPTH and isinstance(value, Mapping | list | tuple):
        raise _TooDeep
    tree.values[path] = tree.name
    tree.written[path] = shown(value)
    if isinstance(value, Mapping):
        children = ((str(key), f"{path}.{key}" if path else str(key), member) for key, member in value.items())
        return {key: _copy(tree, member, child, env, depth + 1) for key, child, member in children}
    if isinstance(value, list | tuple):
        return [_copy(tree, item, f"{path}[{index}]", env, depth + 1) for index, item in enumerate(value)]
    return _fill(tree, path, value, env)[0] if isinstance(value, str) else value


def _within(path: str, outer: str) -> bool:
    return path == outer or path.startswith((f"{outer}.", f"{outer}["))


def _syntax(name: str, error: yaml.MarkedYAMLError) -> Finding:
    mark = error.problem_mark or error.context_mark
    place = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
    return Finding(place, "", f"no YAML ({error.problem or error.context})", QUOTE)


def _place(name: str, before: str) -> str:
    return f"{name}:{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"
