"""A word of the config is a file in the tree; its options are checked before they reach it."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from proxy import plugins
from proxy.errors import ConfigError
from proxy.plugins import Plugin, catalogue, class_name, find, load, nearest, options_schema, path_text

HERE = __name__


@dataclass(frozen=True, slots=True)
class Where:
    path: str = "$"
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Fake:
    """A stranger's normalizer with an option of each type."""

    version: ClassVar[int] = 1

    names: tuple[str, ...]
    most: int = 5
    share: float = 0.5
    exact: bool = False
    form: Literal["nfc", "nfd"] = "nfc"
    where: Where = Where()
    more: tuple[Where, ...] | None = None

    def __post_init__(self) -> None:
        for name in self.names:
            if name == "bad":
                raise ValueError(f"{name!r} is no name")
        if self.most < 0:
            raise ValueError("most: at least 0")

    def normalize(self, query: Any) -> Any:
        return query


@dataclass(frozen=True)
class Bare:
    version: ClassVar[int] = 1

    def normalize(self, query: Any) -> Any:
        return query


@dataclass(frozen=True)
class Taken(Bare):
    """Its one option is a mapping."""

    values: Mapping[str, str | tuple[str, ...]]


@dataclass(frozen=True)
class NoNormalizer:
    names: tuple[str, ...] = ()


class NoDataclass:
    pass


FAKE = f"{HERE}:Fake"
BARE = f"{HERE}:Bare"
WORDS = (
    "alias_params, align_time, collapse_space, cookies, default_params, drop_params, form, graphql, headers, json, "
    "keep_params, list_params, lower, nfc, round_numbers, sort_params, strip, their_pkg.module:Class"
)
TAKEN = f"{HERE}:Taken"
FREEZE = "the name of a frozen dataclass with normalize and version"

LOADS: dict[str, tuple[object, object]] = {
    "a stranger's word": (BARE, Bare()),
    "no options": ({BARE: {}}, Bare()),
    "a mapping of its fields": ({FAKE: {"names": ["q"], "most": 2}}, Fake(("q",), 2)),
    "a whole number where a float is due": ({FAKE: {"names": [], "share": 1}}, Fake((), share=1.0)),
    "a nested mapping": ({FAKE: {"names": [], "where": {"depth": 3}}}, Fake((), where=Where(depth=3))),
    "a bare mapping for the only field": (
        {TAKEN: {"values": "1", "lang": ["en", ""]}},
        Taken({"values": "1", "lang": ("en", "")}),
    ),
    "a bare list for the first field": ({FAKE: ["q", "r"]}, Fake(("q", "r"))),
}

FINDINGS: dict[str, tuple[object, list[str]]] = {
    "an unknown word": (
        "sort_parms",
        [f"value: found sort_parms; allowed: one of {WORDS}; did you mean sort_params?"],
    ),
    "an unknown word with options": (
        {"lwer": ["q"]},
        [f"key: lwer: found lwer; allowed: one of {WORDS}; did you mean lower?"],
    ),
    "a way out of the folder": ("../json", [f"value: found ../json; allowed: one of {WORDS}; did you mean json?"]),
    "a private file": ("__init__", [f"value: found __init__; allowed: one of {WORDS}"]),
    "two words in one item": (
        {"lower": ["q"], "nfc": ["q"]},
        [f"value: found a mapping of 2 words; allowed: one word, or {{word: options}}; the words: {WORDS}"],
    ),
    "no word at all": (5, [f"value: found 5; allowed: one word, or {{word: options}}; the words: {WORDS}"]),
    "a module that is not there": (
        "no.such:Class",
        ["value: found no.such:Class; allowed: a class that can be imported (No module named 'no')"],
    ),
    "a class that is not there": (
        {f"{HERE}:Gone": {}},
        [
            (
                f"key: {HERE}:Gone: found {HERE}:Gone; "
                f"allowed: a class that can be imported (module '{HERE}' has no attribute 'Gone')"
            )
        ],
    ),
    "a class without fields": (f"{HERE}:NoDataclass", [f"value: found {HERE}:NoDataclass; allowed: {FREEZE}"]),
    "a class of another kind": (f"{HERE}:NoNormalizer", [f"value: found {HERE}:NoNormalizer; allowed: {FREEZE}"]),
    "no class": (f"{HERE}:HERE", [f"value: found {HERE}:HERE; allowed: {FREEZE}"]),
    "an unknown option": (
        {FAKE: {"names": [], "mots": 2}},
        [
            f"key: {FAKE}.mots: found mots; allowed: one of names, most, share, exact, form, where, more; did you mean most?"
        ],
    ),
    "an unknown option inside an option": (
        {FAKE: {"names": [], "where": {"deep": 3}}},
        [f"key: {FAKE}.where.deep: found deep; allowed: one of path, depth; did you mean depth?"],
    ),
    "an unknown option inside a list": (
        {FAKE: {"names": [], "more": [{}, {"path": "$", "x": 1}]}},
        [f"key: {FAKE}.more[1].x: found x; allowed: one of path, depth"],
    ),
    "an option where there is none": (
        {BARE: {"x": 1}},
        [f"key: {BARE}.x: found x; allowed: no options"],
    ),
    "a bare value where there is no option": (
        {BARE: [1]},
        [f"value: {BARE}: found a list; allowed: {BARE} without options"],
    ),
    "a missing option": (
        {FAKE: {"most": 2}},
        [f"value: {FAKE}.names: found nothing; allowed: a value: names is required"],
    ),
    "a missing option of a bare word": (FAKE, [f"value: found {FAKE}; allowed: a value: names is required"]),
    "wrong types, all at once": (
        {FAKE: {"names": "q", "most": "2", "share": True, "exact": 1, "form": "nfk", "where": [1]}},
        [
            f"value: {FAKE}.names: found q; allowed: a list",
            f"value: {FAKE}.most: found 2; allowed: a whole number",
            f"value: {FAKE}.share: found true; allowed: a number",
            f"value: {FAKE}.exact: found 1; allowed: true or false",
            f"value: {FAKE}.form: found nfk; allowed: one of nfc, nfd",
            f"value: {FAKE}.where: found a list; allowed: a mapping",
        ],
    ),
    "a wrong item": (
        {FAKE: ["q", 5]},
        [f"value: {FAKE}[1]: found 5; allowed: a text (in quotes, if it looks like something else)"],
    ),
    "one of two types, each told once, as far inside as it can be": (
        {TAKEN: {"a": 1, "b": [1]}},
        [
            f"value: {TAKEN}.a: found 1; allowed: a text (in quotes, if it looks like something else), or a list",
            f"value: {TAKEN}.b[0]: found 1; allowed: a text (in quotes, if it looks like something else)",
        ],
    ),
    "nothing": ({FAKE: None}, [f"value: {FAKE}: found nothing; allowed: a list"]),
    "what the class refuses and quotes": (
        {FAKE: {"names": ["q", "bad"]}},
        [f"value: {FAKE}.names[1]: found bad; allowed: what {FAKE} accepts ('bad' is no name)"],
    ),
    "what the class refuses as a whole": (
        {FAKE: {"names": [], "most": -1}},
        [f"value: {FAKE}: found a mapping; allowed: what {FAKE} accepts (most: at least 0)"],
    ),
    "what no file can hold": (
        {FAKE: {"names": [object()]}},
        [f"value: {FAKE}: found a mapping; allowed: texts, numbers, lists and mappings"],
    ),
}


@pytest.mark.parametrize(("item", "made"), LOADS.values(), ids=LOADS)
def test_an_item_of_the_config_becomes_an_object(item: object, made: object) -> None:
    """Exactly the class that was named: equal, frozen, with tuples where YAML has lists."""
    plugin = load("normalize", item)
    assert plugin == Plugin(plugin.word, made)
    assert type(plugin.made) is type(made)


@pytest.mark.parametrize(("item", "lines"), FINDINGS.values(), ids=FINDINGS)
def test_what_cannot_be_loaded_is_told(item: object, lines: list[str]) -> None:
    """`key` or `value` stands where config.py puts the place."""
    with pytest.raises(ConfigError) as error:
        load("normalize", item)
    assert [str(finding) for finding in error.value.findings] == lines


def test_extra_options_are_refused_by_pydantic_itself() -> None:
    """Not by a check of ours beside it, which nested options would escape."""
    assert options_schema("normalize", FAKE)["anyOf"][0]["additionalProperties"] is False
    assert options_schema("normalize", FAKE)["anyOf"][0]["properties"]["where"]["additionalProperties"] is False


def test_a_file_is_a_word_if_it_defines_its_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`ls` is the catalogue; nothing is imported for it."""
    folder = tmp_path / "fake_kind"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "_shared.py").write_text("class Shared: pass\n")
    (folder / "tools.py").write_text("class NotTools: pass\n")
    (folder / "query_list.py").write_text("import no_such_parser\nclass QueryList: pass\n")
    (folder / "sort_it.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass SortIt:\n    names: tuple[str, ...] = ()\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(plugins.PACKAGES, "format", "fake_kind")
    assert catalogue("format") == ("query_list", "sort_it")
    assert "fake_kind.query_list" not in sys.modules
    assert repr(load("format", {"sort_it": ["a"]}).made) == "SortIt(names=('a',))"
    with pytest.raises(ConfigError, match=r"a class that can be imported .No module named 'no_such_parser'"):
        load("format", "query_list")


@pytest.mark.parametrize("kind", ["normalize", "split", "merge", "compare", "format", "schema", "store", "upstream"])
def test_every_word_of_every_kind_names_a_class(kind: str) -> None:
    """The law that a word in config.yaml is a file name in the tree."""
    for word in catalogue(kind):
        assert find(kind, word).__name__ == class_name(word)


def test_every_normalizer_has_a_schema_for_editors() -> None:
    """With what each option is for, and without Python's words."""
    for word in catalogue("normalize"):
        schema = options_schema("normalize", word)
        assert schema.get("anyOf", [schema])[0]["description"]


@pytest.mark.parametrize(
    ("word", "name"), [("json", "Json"), ("nfc", "Nfc"), ("sort_params", "SortParams"), ("query_list", "QueryList")]
)
def test_the_class_of_a_word(word: str, name: str) -> None:
    """CamelCase, letter by letter."""
    assert class_name(word) == name


@pytest.mark.parametrize(("word", "meant"), [("JSON", "json"), ("jsn", "json"), ("xml", ""), ("", "")])
def test_the_nearest_word(word: str, meant: str) -> None:
    """Case is a slip, another word is not."""
    assert nearest(word, ("json", "console")) == meant


def test_paths_read_like_the_config() -> None:
    """Lists by number, mappings by name."""
    assert path_text(("rules", 0, "split", "by")) == "rules[0].split.by"
    assert path_text(()) == ""
