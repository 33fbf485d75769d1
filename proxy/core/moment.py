"""Moments as answers write them: seconds or milliseconds since 1970, and ISO 8601."""

import re
from datetime import UTC, datetime

from proxy.core.json_text import Json, Verbatim

BEGIN_S = 946_684_800.0
END_S = 4_102_444_800.0
"""This century: a number outside it is something else."""

_LONGEST = 40
_DIGITS = re.compile(r"[0-9]{9,13}(?:\.[0-9]{1,9})?")
_ISO = re.compile(
    r"""
    [0-9]{4} (?: -[0-9]{2}-[0-9]{2} [Tt ] [0-9]{2}:[0-9]{2} (?: :[0-9]{2} (?:[.,][0-9]{1,12})? )?
               | [0-9]{4} [Tt] [0-9]{4} (?: [0-9]{2} (?:[.,][0-9]{1,12})? )? )
    (?: [Zz] | [+-][0-9]{2} (?: :?[0-9]{2} )? )?
    """,
    re.VERBOSE,
)


def of_number(literal: str) -> float | None:
    """Return the seconds since 1970 that a number tells, as seconds or milliseconds; None for what is not of this century."""
    if len(literal) > _LONGEST:
        return None
    number = float(literal)
    return next((at for at in (number, number / 1000) if BEGIN_S <= at < END_S), None)


def of_text(text: str) -> float | None:
    """Return the seconds since 1970 of a date with a time of day (ISO 8601; UTC unless it says otherwise), or None."""
    if len(text) > _LONGEST or not _ISO.fullmatch(text):
        return None
    try:
        at = datetime.fromisoformat(text.upper())
    except ValueError:  # a 30th of February
        return None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def of(value: Json) -> float | None:
    """Return the seconds since 1970 that a value tells: a number, its digits as text, or ISO 8601."""
    if isinstance(value, Verbatim) or (isinstance(value, str) and _DIGITS.fullmatch(value)):
        return of_number(value)
    return of_text(value) if isinstance(value, str) else None


def looks_like_one(value: object) -> bool:
    """Tell whether a value is a number of this century's, or ISO 8601; digits as text may as well be a name."""
    if isinstance(value, Verbatim):
        return of_number(value) is not None
    return isinstance(value, str) and of_text(value) is not None
