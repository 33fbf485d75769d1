"""GraphQL documents as text: what can be told of one before it is parsed, and from its tokens afterwards."""

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from graphql.language import Token

MAX_DEPTH = 100

# Possessive, and content with a string that nothing ends: linear whatever a client sends.
_STRING = r'"""(?:[^"\\]|\\"""|\\|"(?!""))*+(?:""")?+ | "(?:[^"\\\n\r]|\\.)*+"?+'
_NO_BRACKETS = re.compile(rf'{_STRING} | \#[^\n\r]*+ | [^][{{}}()"#]++', re.VERBOSE | re.DOTALL)
_SILENT = re.compile(rf"{_STRING} | \#[^\n\r]*+", re.VERBOSE | re.DOTALL)
_LEVELS = {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}
_WORDS = re.compile(r"[{}()]|\.\.\.|[:@$]\s*[A-Za-z_0-9]+|[A-Za-z_][A-Za-z_0-9]*")


def too_deep(document: str) -> bool:
    """Tell whether it is nested over MAX_DEPTH levels: the parser takes a level of Python's own stack for each."""
    if sum(map(document.count, "{[(")) <= MAX_DEPTH:
        return False
    levels = accumulate(map(_LEVELS.__getitem__, _NO_BRACKETS.sub("", document)))
    return any(map(MAX_DEPTH.__lt__, levels))


def silent(document: str) -> str:
    """Return a document without its strings and comments: what looks like a name in it is one."""
    return _SILENT.sub('""', document)


def too_wide(document: str, most: int) -> bool:
    """Tell whether an operation selects more than `most` fields at its root, as far as names alone show it."""
    depth = round_ = count = 0
    operation = True
    for found in _WORDS.finditer(silent(document)):
        word = found[0]
        if word in "()":
            round_ += 1 if word == "(" else -1
        elif word == "{":
            depth, count = depth + 1, 0 if depth == 0 else count
        elif word == "}":
            depth -= 1
            operation = operation or depth == 0
        elif round_ == 0 and depth == 0 and word == "fragment":
            operation = False
        elif round_ == 0 and depth == 1 and operation and word[0] not in ":@$.":
            count += 1
            if count > most:
                return True
    return False


def tokens_of(first: "Token", last: "Token") -> list["Token"]:
    """Return the tokens from one to another, without comments."""
    tokens: list[Token] = []
    token: Token | None = first
    while token is not None:
        if token.kind.value != "Comment":
            tokens.append(token)
        token = None if token is last else token.next
    return tokens


def named(tokens: Sequence["Token"], mark: str) -> tuple[str, ...]:
    """Return the names that follow a mark: of `...` the fragments that are spread (and `on`), of `$` the variables."""
    return tuple(
        [two.value or "" for one, two in pairwise(tokens) if one.kind.value == mark and two.kind.value == "Name"]
    )


def written(document: str, tokens: Sequence["Token"]) -> str:
    """Return tokens in their one form, without what GraphQL ignores."""
    pieces: list[str] = []
    in_word = False
    for token in tokens:
        word = token.value is not None
        if in_word and (word or token.kind.value == "..."):
            pieces.append(" ")
        pieces.append(document[token.start : token.end])
        in_word = word
    if pieces[:2] == ["query", "{"]:  # `{` alone means it
        del pieces[0]
    return "".join(pieces)
