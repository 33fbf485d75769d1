"""Where two answers differ, told without a word of what they say."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from proxy.core import moment
from proxy.core.json_text import Verbatim

Kind = Literal[
    "status", "media_type", "value", "type", "number", "missing", "extra", "length", "order", "bytes"
]  # fmt: skip

LONGEST_NAME = 40
LONGEST_PATH = 200
NEAR_BYTES = 64
"""So far apart two byte differences may be and still be one place."""

ABSENT: Final = object()
"""Stands for a member that is not there."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The first place, in the order of the control, where a candidate differs from it.

    `path` is `status`, `media_type`, `byte 17`, or a JSON path into the control (for an `extra` member, into the
    candidate). Members are named in it, cut to LONGEST_NAME characters each and LONGEST_PATH in all (`…` stands for the
    rest); of values there is no part anywhere: `control` and `candidate` say what kind of thing each is, and how large.
    `is_time`: both look like moments, as in an answer that tells the time.
    """

    path: str
    kind: Kind
    control: str
    candidate: str
    is_time: bool = False


def at_place(steps: Sequence[int | str], kind: Kind, control: object, candidate: object) -> Difference:
    """Return the difference between two JSON values, or ABSENT."""
    is_time = moment.looks_like_one(control) and moment.looks_like_one(candidate)
    return Difference(path_of(steps), kind, described(control), described(candidate), is_time)


def same_place(one: Difference, other: Difference) -> bool:
    """Tell whether noise (`one`, between two controls) explains another difference (between control and candidate).

    It does at an equal path, where the numbers of elements do not count: `$.items[3].ts` is `$.items[7].ts`, whatever
    the kinds. An array whose length or order differs, or that comes and goes, explains all that differs in its elements,
    at any depth: `$.items` explains `$.items[3].price`, but not the other way round. Two byte differences are one place
    if they lie within NEAR_BYTES of one another: bytes have no places of their own, so noise elsewhere explains nothing.
    Neither does a path that was cut: it may be of many places.
    """
    if one.kind == other.kind == "bytes":
        return abs(_offset(one) - _offset(other)) <= NEAR_BYTES
    if _CUT in one.path:
        return False
    noise, steps = _general(one.path), _general(other.path)
    if one.kind in _OF_ARRAYS and steps[: len(noise) + 1] == [*noise, _EVERY]:
        return True
    return noise == steps


def path_of(steps: Sequence[int | str]) -> str:
    """Write names and numbers as a JSON path that is fit for a log: cut, and with nothing in it that is not printed."""
    path = "$"
    for step in steps:
        written = f"[{step}]" if isinstance(step, int) else _named(step)
        if len(path) + len(written) >= LONGEST_PATH:
            return path + _CUT
        path += written
    return path


def described(value: object) -> str:
    """Say what kind of thing a JSON value is and how large, and nothing of what it holds."""
    match value:
        case Verbatim():
            return f"number, {_count(sum(map(str.isdigit, value)), 'digit')}"
        case str():
            return f"string of {_count(len(value), 'character')}"
        case list():
            return f"array of {len(value)}"
        case dict():
            return f"object of {_count(len(value), 'member')}"
        case bool():
            return "boolean"
    return "null" if value is None else "absent"


_CUT = "…"
_EVERY = "[*]"
_OF_ARRAYS = frozenset({"length", "order", "missing", "extra"})
_PLAIN = re.compile(r"[A-Za-z_][0-9A-Za-z_]*")
_STEP = re.compile(r"\.[^.\[]+|\['(?:[^'\\]|\\.)*'\]|\[[0-9]+\]", re.DOTALL)
_NUMBER = re.compile(r"\[[0-9]+\]")


def _named(name: str) -> str:
    kept = name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1]
    rest = "" if kept == name else _CUT
    if not rest and _PLAIN.fullmatch(name):
        return f".{name}"
    return f"['{''.join(map(_shown, kept))}{rest}']"


def _shown(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable() and character != _CUT:
        return character
    return f"\\u{ord(character):04x}" if character <= "\uffff" else f"\\U{ord(character):08x}"


def _general(path: str) -> list[str]:
    """Return a path's steps with [*] for each number; what is no JSON path is one step."""
    if not path.startswith("$"):
        return [path]
    return ["$", *[_EVERY if _NUMBER.fullmatch(step) else step for step in _STEP.findall(path)]]


def _offset(difference: Difference) -> int:
    return int(difference.path.removeprefix("byte "))


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
