"""What the owner wants to see of requests in the log: header and query values by name, and nothing else."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from proxy.core.types import Request

MOST_CHARS: Final = 256
_WORDS = "assertion|auth|authentication|authorization|key|oidc|sid"
_ANYWHERE = "apikey|cookie|credential|csrf|jwt|passphrase|passw|secret|session|signature|token|xsrf"
SECRET_NAME: Final = rf"(?i:.*({_ANYWHERE}).*|(.*[-_])?({_WORDS})[0-9]*([-_].*)?)"
"""Matches the names of fields that hold secrets, by any of their words: X-Api-Key, X-CSRFToken."""
_QUERY_OF_URL: Final = re.compile(rb"(?s)^((?:[A-Za-z][A-Za-z0-9+.-]*:/)?/[^?#]*)[?#].*")
QUERY: Final = "query_"
"""What the names of fields begin with that hold a query's values."""


@dataclass(frozen=True, slots=True)
class ShownFields:
    """The names of header fields and of query parameters whose values are written to the log."""

    headers: tuple[str, ...] = ()
    query: tuple[str, ...] = ()

    def of(self, request: Request) -> dict[str, str] | None:
        """Return their values in a request, as fields of its line; several of one name behind each other."""
        told: dict[str, list[bytes]] = {}
        wanted = {name.lower().encode(): field_name("header", name) for name in self.headers}
        for name, value in request.headers if wanted else ():
            if name in wanted:
                told.setdefault(wanted[name], []).append(_without_query(value))
        asked = {name.encode(): field_name("query", name) for name in self.query}
        for pair in request.query.split(b"&") if asked else ():
            name, _, value = pair.partition(b"=")
            name = _decoded(name)
            if name in asked:
                told.setdefault(asked[name], []).append(_decoded(value))
        return {name: _text(b", ".join(values)) for name, values in told.items()} or None


def field_name(kind: str, name: str) -> str:
    """Return the name of the log's field: `header_user_agent`, `query_q`; letters, digits and underscores."""
    return f"{kind}_{''.join([one if one.isascii() and one.isalnum() else '_' for one in name.lower()])}"


def same_fields(kind: str, names: Sequence[str]) -> list[tuple[int, str, str]]:
    """Return the place of each name that has the field of an earlier one, that field, and the earlier one."""
    fields = [field_name(kind, name) for name in names]
    first = [fields.index(field) for field in fields]
    return [(place, fields[place], names[at]) for place, at in enumerate(first) if at < place]


def _without_query(value: bytes) -> bytes:
    """Return a field's value; of a URL or a path, such as Referer has, what is before its query."""
    return _QUERY_OF_URL.sub(rb"\1", value)


def _decoded(text: bytes) -> bytes:
    return unquote_to_bytes(text.replace(b"+", b" "))


def _text(value: bytes) -> str:
    return value[: 4 * MOST_CHARS].decode("utf-8", "backslashreplace")[:MOST_CHARS]
