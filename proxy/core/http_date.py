"""HTTP dates ⇄ seconds since 1970, strictly (RFC 9110 §5.6.7) but for the case of letters (RFC 9111 §4.2)."""

import re
from calendar import timegm
from datetime import UTC, datetime

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_LONG_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DAY, _LONG_DAY, _MONTH = (f"(?:{'|'.join(names)})" for names in (_DAYS, _LONG_DAYS, _MONTHS))
_FIFTY_YEARS_S = 50 * 365.2425 * 86400
_TIME = r"(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"

# The three forms a recipient must read; a sender only ever makes the first.
_FORMS = tuple(
    re.compile(form, re.IGNORECASE | re.ASCII)
    for form in (
        rf"{_DAY}, (?P<day>[0-9]{{2}}) (?P<month>{_MONTH}) (?P<year>[0-9]{{4}}) {_TIME} GMT",
        rf"{_LONG_DAY}, (?P<day>[0-9]{{2}})-(?P<month>{_MONTH})-(?P<year>[0-9]{{2}}) {_TIME} GMT",
        rf"{_DAY} (?P<month>{_MONTH}) (?P<day>[0-9]{{2}}| [0-9]) {_TIME} (?P<year>[0-9]{{4}})",
    )
)


def parse(value: bytes, now: float) -> float | None:
    """Read a date; None for anything that is not exactly one (`now` settles the century of two-digit years)."""
    text = value.decode("latin-1")
    for form in _FORMS:
        if found := form.fullmatch(text):
            return _seconds(found, now)
    return None


def _seconds(found: re.Match[str], now: float) -> float | None:
    year = int(found["year"])
    if len(found["year"]) == 4:
        return _at(found, year)
    century = datetime.fromtimestamp(now, UTC).year // 100 * 100
    near = [_at(found, year + century + shift) for shift in (100, 0, -100)]
    # what seems more than 50 years ahead is the latest such year in the past
    return next((seconds for seconds in near if seconds is not None and seconds <= now + _FIFTY_YEARS_S), None)


def _at(found: re.Match[str], year: int) -> float | None:
    month = _MONTHS.index(found["month"].capitalize()) + 1
    hour, minute, second = int(found["hour"]), int(found["minute"]), int(found["second"])
    if second > 60:  # 60 is a leap second
        return None
    try:
        datetime(year, month, int(found["day"]), hour, minute, min(second, 59), tzinfo=UTC)
    except ValueError:
        return None
    return float(timegm((year, month, int(found["day"]), hour, minute, second)))


def render(seconds: float) -> bytes:
    """Write the IMF-fixdate form."""
    at = datetime.fromtimestamp(seconds, UTC)
    date = f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04}"
    return f"{date} {at:%H:%M:%S} GMT".encode()
