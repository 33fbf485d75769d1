"""YAML as config.yaml means it: 1.2's core rules, no surprises, the place of everything."""

import json
import math
from typing import Any

import pytest

from proxy.strict_yaml import MAX_BYTES, plain, read, resolve, shown

ENV = {"HOST": "legacy", "PORT": "8000", "FLAG": "true", "EMPTY": "", "SECRET": "s3cret", "YAML": "[1, 2]"}

# What YAML 1.1 makes of the left side surprised somebody once; the right side is what it says.
PLAIN = {
    "on": "on",
    "off": "off",
    "yes": "yes",
    "no": "no",
    "Yes": "Yes",
    "NO": "NO",
    "y": "y",
    "true": True,
    "false": False,
    "True": "True",
    "FALSE": "FALSE",
    "1:30": "1:30",
    "190:20:30": "190:20:30",
    "2024-01-01": "2024-01-01",
    "2024-01-01T10:00:00Z": "2024-01-01T10:00:00Z",
    "": None,
    "null": None,
    "~": None,
    "Null": "Null",
    "NULL": "NULL",
    "0": 0,
    "42": 42,
    "-7": -7,
    "+7": 7,
    "010": 10,
    "0o10": 8,
    "0x1F": 31,
    "0b11": "0b11",
    "1_000": "1_000",
    "1.5": 1.5,
    ".5": 0.5,
    "5.": 5.0,
    "1e3": 1000.0,
    "-1.5E-2": -0.015,
    ".inf": math.inf,
    "-.inf": -math.inf,
    "1.2.3": "1.2.3",
    "5m": "5m",
    "256MiB": "256MiB",
    "=": "=",
    "<<": "<<",
    "9" * 401: "9" * 401,
}

QUOTE = "quote a text that holds any of : ? # [ ] { } , & * ! | > ' \" % @ `, and indent with spaces"

FINDINGS: dict[str, tuple[str, list[str]]] = {
    "a duplicate key": (
        "a: 1\nb: 2\na: 3\n",
        ["c.yaml:3:1: a: found a; allowed: each key once; it is already at c.yaml:1:1"],
    ),
    "a duplicate key, quoted and deep": (
        'a:\n  - b: 1\n    "b": 2\n',
        ["c.yaml:3:5: a[0].b: found b; allowed: each key once; it is already at c.yaml:2:5"],
    ),
    "a merge key": (
        "a:\n  <<: {b: 1}\n",
        ["c.yaml:2:3: a: found the merge key <<; allowed: keys and values, written out"],
    ),
    "an anchor and its alias": (
        "a: &x 1\nb: *x\n",
        [
            "c.yaml:1:4: a: found the anchor &x; allowed: the value itself, without an anchor",
            "c.yaml:2:4: b: found the alias *x; allowed: the value itself, written out",
        ],
    ),
    "tags": (
        "a: !!python/object/apply:os.system [id]\nb: !mine x\nc: !!str 5\n",
        [
            "c.yaml:1:4: a: found the tag !!python/object/apply:os.system; allowed: a value without a tag",
            "c.yaml:2:4: b: found the tag !mine; allowed: a value without a tag",
            "c.yaml:3:4: c: found the tag !!str; allowed: a value without a tag",
        ],
    ),
    "a second document": (
        "a: 1\n---\nb: 2\n",
        ["c.yaml:2:1: found a second document; allowed: one document in a file"],
    ),
    "a list as a key": ("? [a]\n: 1\n", ["c.yaml:1:3: found a key that is not text; allowed: a text as key"]),
    "an empty key": ('"": 1\n', ["c.yaml:1:1: found a key that is empty or not printable; allowed: a text as key"]),
    "a key that forges a line": (
        '{"a\\nb": 1}\n',
        ["c.yaml:1:2: found a key that is empty or not printable; allowed: a text as key"],
    ),
    "an alias as a key": ("? *x\n: 1\n", ["c.yaml:1:3: found a key that is not text; allowed: a text as key"]),
    "a missing variable, twice in one text": (
        "a:\n  b: http://${NAME}:${HOST}/${FILE}\n",
        [
            "c.yaml:2:6: a.b: found ${NAME}; allowed: a variable that is set (NAME is not), or ${NAME:-default}",
            "c.yaml:2:6: a.b: found ${FILE}; allowed: a variable that is set (FILE is not), or ${FILE:-default}",
        ],
    ),
    "half a character": (
        'a: "\\ud83d"\n',
        ["c.yaml:1:4: a: found half a character (a lone surrogate); allowed: text that UTF-8 can carry"],
    ),
    "bad syntax": (
        "a: 1\nb: c: d\n",
        [f"c.yaml:2:5: found no YAML (mapping values are not allowed here); allowed: {QUOTE}"],
    ),
    "a bare star in brackets": (
        "a: [$.x, $.y[*]]\n",
        [f"c.yaml:1:15: found no YAML (expected alphabetic or numeric character, but found ']'); allowed: {QUOTE}"],
    ),
    "a tab": (
        "a:\n\tb: 1\n",
        [f"c.yaml:2:1: found no YAML (found character '\\t' that cannot start any token); allowed: {QUOTE}"],
    ),
    "a control character": ("a: b\x07\n", ["c.yaml:1:5: found character U+0007; allowed: printable text"]),
    "what nests too deep": ("[" * 51 + "]" * 51, ["c.yaml:1:51: found level 51; allowed: at most 50 levels"]),
    "several at once": (
        "a: *x\nb: ${GONE}\nb: 2\n",
        [
            "c.yaml:1:4: a: found the alias *x; allowed: the value itself, written out",
            "c.yaml:2:4: b: found ${GONE}; allowed: a variable that is set (GONE is not), or ${GONE:-default}",
            "c.yaml:3:1: b: found b; allowed: each key once; it is already at c.yaml:2:1",
        ],
    ),
}


def value(text: str) -> Any:
    tree = read(text.encode(), "c.yaml", ENV)
    assert tree.findings == []
    return tree.value


@pytest.mark.parametrize(("text", "meaning"), PLAIN.items())
def test_a_plain_scalar_means_what_yaml_1_2_says(text: str, meaning: object) -> None:
    """By value and by type: 1 is not true, and not 1.0."""
    assert repr(resolve(text)) == repr(meaning)
    assert repr(value(f"a: {text}")["a"]) == repr(meaning)


def test_not_a_number_is_a_float() -> None:
    """NaN equals nothing, so it has no row."""
    assert math.isnan(value("a: .nan")["a"])


@pytest.mark.parametrize("text", ["on", "5", "null", "1e3", "true", "", "~"])
def test_a_quoted_scalar_is_text(text: str) -> None:
    """Quotes and blocks say so."""
    assert value(f"a: '{text}'\nb: \"{text}\"\n") == {"a": text, "b": text}


def test_a_block_is_text() -> None:
    """Literal and folded."""
    assert value("a: |\n  5\nb: >-\n  5\n  6\n") == {"a": "5\n", "b": "5 6"}


def test_keys_are_text_as_written() -> None:
    """So that `on:` is not true and `200:` needs no rule of its own."""
    assert value("{200: a, on: b, true: c, null: d, 1.0: e, ~: f}") == dict(
        zip(["200", "on", "true", "null", "1.0", "~"], "abcdef", strict=True)
    )


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_is_null(text: str) -> None:
    """It is not a mistake; what it lacks is for others to say."""
    assert value(text) is None


def test_a_byte_order_mark_moves_no_column() -> None:
    """Editors on Windows write one."""
    tree = read("\ufeffa: *x\n".encode(), "c.yaml", ENV)
    assert str(tree.findings[0]).startswith("c.yaml:1:4: a: found the alias *x")


def test_json_is_yaml() -> None:
    """Also what lies beyond 16 bits, which JSON writes in two escapes."""
    tree = {"a": ["😀", "\u00e9", 'q"\\/'], "b": {"c": 1.5, "d": None, "e": True}}
    assert value(json.dumps(tree)) == tree
    assert value(json.dumps(tree, indent=1)) == tree


@pytest.mark.parametrize(("text", "lines"), FINDINGS.values(), ids=FINDINGS)
def test_what_surprises_is_a_finding(text: str, lines: list[str]) -> None:
    """Place, path, what was found, what is allowed; all of them at once."""
    assert [str(finding) for finding in read(text.encode(), "c.yaml", ENV).findings] == lines


def test_fifty_levels_are_allowed() -> None:
    """The limit itself is fine."""
    assert read(b"[" * 50 + b"1" + b"]" * 50, "c.yaml", ENV).findings == []


def test_a_file_that_is_too_large_is_not_read() -> None:
    """Nor is one whose nesting would exhaust the stack."""
    tree = read(b"#" * (MAX_BYTES + 1), "c.yaml", ENV)
    assert [str(finding) for finding in tree.findings] == [
        "c.yaml: found 1048577 bytes; allowed: a file of at most 1048576 bytes"
    ]
    assert len(read(b"[" * MAX_BYTES, "c.yaml", ENV).findings) == 1


def test_what_is_not_utf_8_is_a_finding() -> None:
    """With the place of the first bad byte."""
    tree = read("a: ü\nb: ".encode() + b"\xfc\n", "c.yaml", ENV)
    assert [str(finding) for finding in tree.findings] == ["c.yaml:2:4: found byte 0xfc; allowed: text in UTF-8"]


def test_a_plain_variable_is_typed_and_a_quoted_one_is_text() -> None:
    """Filled in first, then read."""
    text = 'a: ${PORT}\nb: "${PORT}"\nc: ${FLAG}\nd: ${EMPTY}\ne: ${X:-5}\nf: $${X}\ng: "${EMPTY}"\n'
    assert value(text) == {"a": 8000, "b": "8000", "c": True, "d": None, "e": 5, "f": "${X}", "g": ""}


def test_a_variable_never_becomes_structure() -> None:
    """It fills a scalar, whatever it holds; keys are left alone."""
    assert value("a: ${YAML}\n${HOST}: 1\n") == {"a": "[1, 2]", "${HOST}": 1}


def test_the_place_of_every_key_and_value_is_known() -> None:
    """By path; what is missing is where it should be."""
    tree = read(b"upstream: http://x\nrules:\n  - name: a\n    key: [b, {c: 1}]\n", "c.yaml", ENV)
    places = {
        ("upstream", "key"): "c.yaml:1:1",
        ("upstream", "value"): "c.yaml:1:11",
        ("rules", "value"): "c.yaml:3:3",
        ("rules[0]", "value"): "c.yaml:3:5",
        ("rules[0].key", "key"): "c.yaml:4:5",
        ("rules[0].key[1]", "value"): "c.yaml:4:14",
        ("rules[0].key[1].c", "key"): "c.yaml:4:15",
        ("rules[0].key[1].c", "value"): "c.yaml:4:18",
        ("rules[0].match.path", "value"): "c.yaml:3:5",
        ("log", "value"): "c.yaml:1:1",
    }
    assert {key: tree.where(*key) for key in places} == places


def test_what_was_found_is_shown_as_written() -> None:
    """Never what a variable stands for, never the password of a URL, never more than a line."""
    text = 'a: ${SECRET}\nb: "x"\nc:\nd: [1]\ne: {f: 1}\ng: |\n  1\n  2\nh: http://u:p@ss@h/\ni: ' + "x" * 99
    tree = read(text.encode(), "c.yaml", ENV)
    assert {path: tree.found(path) for path in "abcdegi"} == {
        "a": "${SECRET}",
        "b": '"x"',
        "c": "nothing",
        "d": "a list",
        "e": "a mapping",
        "g": "|…",
        "i": "x" * 60 + "…",
    }
    assert tree.found("h") == "http://***@h/"
    assert tree.found("absent") == "nothing"
    assert tree.hides("no s3cret here") == "no ${SECRET} here"


def test_a_flag_replaces_what_the_file_says_and_what_was_wrong_with_it() -> None:
    """Its place is where it came from."""
    tree = read(b"a: {b: '${GONE}', c: 1}\n", "c.yaml", ENV)
    tree.put("a.b", "x", "command line")
    tree.put("d.e", 5, "command line")
    assert tree.value == {"a": {"b": "x", "c": 1}, "d": {"e": 5}}
    assert (tree.findings, tree.where("a.b"), tree.found("d.e")) == ([], "command line", "5")


def test_a_flag_below_what_is_no_mapping_leaves_it_to_be_found() -> None:
    """It would hide a mistake of the file."""
    tree = read(b"log: 5\n", "c.yaml", ENV)
    tree.put("log.to", "-", "command line")
    assert (tree.value, tree.found("log.to")) == ({"log": 5}, "nothing")


def test_a_mapping_in_memory_is_a_tree_as_well() -> None:
    """Its texts are filled in and stay text; its tuples are lists and its keys text."""
    tree = plain({"a": ("${PORT}", 5), "b": {200: "$${x}"}, "c": "${GONE}"}, "config", ENV)
    assert tree.value == {"a": ["8000", 5], "b": {"200": "${x}"}, "c": ""}
    assert [str(finding) for finding in tree.findings] == [
        "config: c: found ${GONE}; allowed: a variable that is set (GONE is not), or ${GONE:-default}"
    ]
    assert (tree.where("a[0]"), tree.found("a[0]"), tree.found("b")) == ("config", "${PORT}", "a mapping")


def test_a_mapping_that_holds_itself_is_a_finding() -> None:
    """The depth is bounded."""
    loop: dict[str, Any] = {}
    loop["a"] = loop
    assert [str(one) for one in plain(loop, "config", ENV).findings] == [
        "config: found level 51; allowed: at most 50 levels"
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        (False, "false"),
        (1, "1"),
        (0, "0"),
        ("", '""'),
        ([1], "a list"),
        ({}, "a mapping"),
    ],
)
def test_values_are_shown_as_a_config_would_write_them(value: object, text: str) -> None:
    """No Python in what an operator reads."""
    assert shown(value) == text
