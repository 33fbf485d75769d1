"""Numbers of JSON by what they mean: 1.0 is 1 and 1e2 is 100, exactly, whatever their length and exponent."""

import re
from decimal import Context, Decimal

MOST_DIGITS = 100
MOST_EXPONENT = 400
"""Beyond these a number is compared exactly only; what a double can hold is within them."""

_NUMBER = re.compile(r"(-?)([0-9]++)(?:\.([0-9]++))?+(?:[eE]([+-]?)([0-9]++))?+")
_LONGEST_EXPONENT = 18
# A difference of two numbers within the limits needs no more digits than this, nor a product with a tolerance.
_WIDE = Context(prec=4 * (MOST_DIGITS + MOST_EXPONENT))


def exact(literal: str) -> str:
    """Write a number in its one form, digits without zeros at either end and a power of ten: `-1.50e3` is `-15e2`.

    Two literals have one form exactly if they are one decimal number; an exponent of over 18 digits is kept as text.
    """
    if literal.isdigit() and literal[0] != "0" != literal[-1]:  # most are so, at a tenth of the cost
        return f"{literal}e0"
    found = _NUMBER.fullmatch(literal)
    if found is None:
        return literal
    sign, whole, fraction, direction, power = found.groups(default="")
    digits = (whole + fraction).lstrip("0")
    power = power.lstrip("0")
    if not digits:
        return "0e0"
    if len(power) > _LONGEST_EXPONENT:
        return literal
    kept = digits.rstrip("0")
    exponent = int(f"{direction}{power or 0}") - len(fraction) + len(digits) - len(kept)
    return f"{sign}{kept}e{exponent}"


def bounded(form: str) -> Decimal | None:
    """Return the number that `exact` wrote, None for one that is too long or too large to calculate with."""
    digits, mark, exponent = form.partition("e")
    fits = mark and len(digits) <= MOST_DIGITS and len(exponent) <= 4 and abs(int(exponent)) <= MOST_EXPONENT
    return Decimal(form) if fits else None


def near(one: Decimal, other: Decimal, relative: Decimal, absolute: Decimal) -> bool:
    """Tell whether two numbers differ by no more than `absolute`, or than `relative` of the larger one."""
    apart = _WIDE.subtract(one, other).copy_abs()
    return apart <= absolute or apart <= _WIDE.multiply(relative, max(one.copy_abs(), other.copy_abs()))
