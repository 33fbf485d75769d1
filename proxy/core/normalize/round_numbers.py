"""`round_numbers`: decimal places beyond a few mean nothing in these values."""

import re
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal
from typing import ClassVar

from proxy.core.params import Matches, matcher, with_values
from proxy.core.types import Query

MAX_LENGTH = 100
"""A longer number is left alone."""
MAX_DIGITS = 30

_NUMBER = re.compile(r"[+-]?[0-9]+(?:\.[0-9]+)?")
_EXACT = Context(prec=MAX_LENGTH + MAX_DIGITS, rounding=ROUND_HALF_EVEN)


@dataclass(frozen=True, slots=True)
class RoundNumbers:
    """Round the named values, where they are plain decimal numbers, to so many `digits` behind the point.

    Half a step goes to the even neighbour. A number is written without a plus, without zeros that mean nothing, and
    without a sign for zero; anything else (an exponent, blanks, over MAX_LENGTH characters) stays as it is. Raises
    ValueError for digits below 0 and over MAX_DIGITS.
    """

    version: ClassVar[int] = 1

    names: tuple[str, ...]
    digits: int
    _matches: Matches = field(init=False, repr=False, compare=False)
    _step: Decimal = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not 0 <= self.digits <= MAX_DIGITS:
            raise ValueError(f"digits: 0 to {MAX_DIGITS}")
        object.__setattr__(self, "_matches", matcher(self.names))
        object.__setattr__(self, "_step", Decimal(1).scaleb(-self.digits))

    def normalize(self, query: Query) -> Query:
        """Return `query` with these numbers rounded."""
        return with_values(query, self._matches, self._rounded)

    def _rounded(self, text: str) -> str:
        if len(text) > MAX_LENGTH or not _NUMBER.fullmatch(text):
            return text
        number = f"{Decimal(text).quantize(self._step, context=_EXACT):f}"
        plain = number.rstrip("0").rstrip(".") if "." in number else number
        return "0" if plain == "-0" else plain
