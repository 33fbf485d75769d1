"""GraphQL documents as text: what can be told of one before it is parsed."""

import re
from itertools import accumulate

MAX_DEPTH = 100

# Possessive, and content with a string that nothing ends: linear whatever a client sends.
_STRING = r'"""(?:[^"\\]|\\"""|\\|"(?!""))*+(?:""")?+ | "(?:[^"\\\n\r]|\\.)*+"?+'
_NO_BRACKETS = re.compile(rf'{_STRING} | \#[^\n\r]*+ | [^][{{}}()"#]++', re.VERBOSE | re.DOTALL)
_SILENT = re.compile(rf"{_STRING} | \#[^\n\r]*+", re.VERBOSE | re.DOTALL)
_LEVELS = {"{": 1, "[": 1, "(": 1, "}": -1, "]": -1, ")": -1}
_WORDS = re.compile(r"[{}()]|\.\.\.|[:@$]\s*[A-Za-z_0-9]+|[A-Za-z_][A-Za-z_0-9]*")


def too_deep(document: str) -> bool:
    """Is it nested over MAX_DEPTH levels? The parser takes a level of Python's own stack for each."""
    if sum(map(document.count, "{[(")) <= MAX_DEPTH:
        return False
    levels = accumulate(map(_LEVELS.__getitem__, _NO_BRACKETS.sub("", document)))
    return any(map(MAX_DEPTH.__lt__, levels))


def silent(document: str) -> str:
    """Return a document without its strings and comments: what looks like a name in it is one."""
    return _SILENT.sub('""', document)


def too_wide(document: str, most: int) -> bool:
    """Does an operation select more than `most` fields at its root, as far as names alone can tell?"""
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
