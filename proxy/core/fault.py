"""What is told of an exception: never what a client sent, which the message of one from a parser or a plug-in may hold."""

from typing import Final

from proxy.core.plain import text

MOST_CHARS: Final = 300
_WHOSE_WORDS_ARE_TOLD: Final = frozenset({"proxy", "sqlite3", "redis"})
"""Packages whose errors are about files, addresses and servers."""


def fault(error: BaseException) -> str:
    """Return the type of an exception, and its message where that is about our surroundings only; never raises."""
    name = type(error).__name__
    said: object = None
    if isinstance(error, OSError):
        said = error.strerror
    elif type(error).__module__.partition(".")[0] in _WHOSE_WORDS_ARE_TOLD:
        said = error
    return f"{name}: {text(said)}"[:MOST_CHARS] if said is not None else name
