"""How a request got its key, told to its owner: each normalizer's step, and what sets one normal form from another.

Values that may be secrets are shown as `…`, whatever asks for them.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from proxy.core import json_text
from proxy.core.key import query_of
from proxy.core.normalize import Normalizer
from proxy.core.rules import Rule
from proxy.core.types import Params, Query, Request
from proxy.errors import Fallback

HIDDEN = "…"
MOST_PARTS = 256
MOST_CHARS = 200

_SECRET = re.compile(r"(?i)(?:token|secret|passw|api.?key|auth|session|sid$|signature|^sig$|credential|cookie|^key$)")

Form = Mapping[str, str]
"""A normal form in parts that a reader tells apart: `method`, `param q`, `$.question`, `field accept-language`."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one normalizer did: the parts that it changed, as they were and as they are (None: not there)."""

    word: str
    changed: Mapping[str, tuple[str | None, str | None]]


@dataclass(frozen=True, slots=True)
class Difference:
    """One part in which two normal forms differ; None: not there."""

    part: str
    here: str | None
    there: str | None


def steps(request: Request, rule: Rule, host: bytes, secret: bytes, now: float) -> tuple[tuple[Step, ...], Query]:
    """Return what each normalizer of a rule changes, and the normal form. Raises Fallback where one is not certain."""
    query = query_of(request, replace(rule, normalizers=()), host, secret, now)
    told: list[Step] = []
    for normalizer in rule.normalizers:
        before, query = query, normalizer.normalize(query)
        one, other = form_of(before), form_of(query)
        parts = [part for part in dict.fromkeys((*one, *other)) if one.get(part) != other.get(part)]
        told.append(Step(word_of(normalizer), {part: (one.get(part), other.get(part)) for part in parts}))
    return tuple(told), query


def word_of(normalizer: Normalizer) -> str:
    """Return the word that a config says for a normalizer."""
    kind = type(normalizer)
    ours = kind.__module__.removeprefix("proxy.core.normalize.")
    return ours if "." not in ours else f"{kind.__module__}:{kind.__qualname__}"


def form_of(query: Query) -> Form:
    """Return a normal form in its parts, secrets hidden, long values cut."""
    return dict(islice(_parts(query), MOST_PARTS))


def _parts(query: Query) -> Iterator[tuple[str, str]]:
    yield "method", query.method
    yield "host", _shown(query.host)
    yield "path", _shown(query.path)
    if query.params is not None:
        yield from _pairs("param", query.params)
    elif query.query is not None:
        yield "query", _query_shown(query.query)
    if query.media_type:
        yield "media type", _shown(query.media_type)
    if query.form is not None:
        yield from _pairs("form", query.form)
    elif query.body:
        yield from _body(query.body)
    for name, value in query.fields:
        hidden = name.startswith(b"cookie:") or _SECRET.search(name.decode("latin-1"))
        yield f"field {_shown(name)}", HIDDEN if hidden else _shown(value)


def _query_shown(query: bytes) -> str:
    pieces = [piece.partition(b"=") for piece in query.split(b"&")]
    shown = [
        f"{_shown(name)}={HIDDEN}"
        if equals and _SECRET.search(name.decode("latin-1"))
        else _shown(name + equals + value)
        for name, equals, value in islice(pieces, MOST_PARTS)
    ]
    return "&".join(shown)[:MOST_CHARS]


def _pairs(kind: str, pairs: Params) -> Iterator[tuple[str, str]]:
    values: dict[str, list[str]] = {}
    for name, value in islice(pairs, MOST_PARTS):
        shown = _shown(name)
        told = "(no value)" if value is None else HIDDEN if _SECRET.search(shown) else _shown(value)
        values.setdefault(shown, []).append(told)
    for shown, several in values.items():
        yield f"{kind} {shown}", ", ".join(several)[:MOST_CHARS]


def _body(body: bytes) -> Iterator[tuple[str, str]]:
    try:
        yield from _leaves("$", json_text.parse(body))
    except Fallback:
        yield "body", _shown(body)


def _leaves(path: str, value: json_text.Json) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            if _SECRET.search(name):
                yield f"{path}.{name}", HIDDEN
            else:
                yield from _leaves(f"{path}.{name}"[:MOST_CHARS], below)
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from _leaves(f"{path}[{number}]", below)
    else:
        yield path, json_text.text(value)[:MOST_CHARS]


def _shown(value: bytes) -> str:
    return value[: MOST_CHARS * 4].decode("utf-8", "backslashreplace")[:MOST_CHARS]


def differences(here: Form, there: Form) -> tuple[Difference, ...]:
    """Return the parts in which two normal forms differ, in the order in which they are read."""
    parts = dict.fromkeys((*here, *there))
    return tuple(
        [Difference(part, here.get(part), there.get(part)) for part in parts if here.get(part) != there.get(part)]
    )
