"""How a request got its key, told to its owner: each normalizer's step, and what sets one normal form from another.

Values that may be secrets are shown as `…`, whatever asks for them; what is hidden still counts as a difference.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from proxy.core import json_text
from proxy.core.key import query_of
from proxy.core.normalize import Normalizer
from proxy.core.params import decoded, params_of, parse
from proxy.core.rules import Rule
from proxy.core.types import Params, Query, Request
from proxy.errors import Fallback

HIDDEN = "…"
MOST_PARTS = 256
MOST_CHARS = 200
MOST_ESCAPES = 3
"""So often a URL is escaped to be part of another, in another."""
MOST_BODY_BYTES = 2**16
"""Of a longer body only the length is told: reading it would hold up everybody else."""

_ANYWHERE = (
    "token|secret|passw|passphrase|passcode|pwd|auth(?!or(?!i[sz]))|session|jwt|signature|credential|cookie|csrf|xsrf"
    "|hmac|(?:api|app|access|account|consumer|encryption|master|private|signing|subscription)[-_. ]?key"
)
_ALONE = "pass|key|sig|sid|pin|otp"
_SECRET = re.compile(rf"(?i)(?:{_ANYWHERE})|^(?:{_ALONE})$|sid$")
# In a text: a name like that with a value behind it, and what stands before the host of a URL.
_IN_TEXT = re.compile(
    rf"(?i)((?:(?:{_ANYWHERE})[\w.-]{{0,32}}+|\b(?:{_ALONE}))[\\\"']{{0,4}}+\s{{0,4}}+[=:]\s{{0,4}}+"
    r"(?:(?:bearer|basic) )?+)"
    r"(?:\\*\"[^\"\\]*|\\*'[^'\\]*|[^\s&,;)}\]]+)|(?<=://)()[^/?#\s@]+(?=@)"
)
_OURS = "proxy.core.normalize"
_FORM = b"application/x-www-form-urlencoded"
_PLAIN_NAME = re.compile(r"[A-Za-z_\x80-\U0010ffff][0-9A-Za-z_\x80-\U0010ffff]*")
_IDENTITY_BYTES = 16
_QUOTED = {b"%": b"%25", b"&": b"%26", b"+": b"%2B", b"=": b"%3D", b" ": b"+"}
_TO_QUOTE = re.compile(rb"[%&+= ]")


@dataclass(frozen=True, slots=True)
class Part:
    """What is shown of one part of a normal form; `mark` differs where the part does, be it hidden or cut.

    `whole` sums up other parts: it tells a difference only where none of them does, such as order or spelling.
    `aside`: a reader needs it for differences only.
    """

    shown: str
    mark: int
    whole: bool = field(default=False, compare=False)
    aside: bool = field(default=False, compare=False)


Form = Mapping[str, Part]
"""A normal form in parts that a reader tells apart: `method`, `param q`, `$.question`, `field accept-language`."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One part in which two normal forms differ; None: not there. Where both look alike, it is in what is hidden."""

    part: str
    here: str | None
    there: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """What one normalizer did: the parts that it changed, as they were (here) and as they are (there)."""

    word: str
    changed: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Walk:
    """The steps to a normal form, and it; without it, the reason why the last of them gave up."""

    steps: tuple[Step, ...]
    query: Query | None
    reason: str | None = None


def walk(request: Request, rule: Rule, host: bytes, secret: bytes, now: float) -> Walk:
    """Return what each normalizer of a rule changes, up to the normal form or to the one that is not certain."""
    query = query_of(request, replace(rule, normalizers=()), host, secret, now)
    form = form_of(query)
    told: list[Step] = []
    for normalizer in rule.normalizers:
        try:
            query = normalizer.normalize(query)
        except Fallback as fallback:
            return Walk((*told, Step(word_of(normalizer), ())), None, fallback.reason)
        before, form = form, form_of(query)
        told.append(Step(word_of(normalizer), differences(before, form)))
    return Walk(tuple(told), query)


def word_of(normalizer: Normalizer) -> str:
    """Return the word that a config says for a normalizer."""
    kind = type(normalizer)
    room, _, word = kind.__module__.rpartition(".")
    return word if room == _OURS else f"{kind.__module__}:{kind.__qualname__}"


def form_of(query: Query) -> Form:
    """Return a normal form in its parts, secrets hidden, long values cut."""
    parts: dict[str, Part] = {}
    for name, value, hidden in _pieces(query):
        known = parts.get(name)
        if known is None and len(parts) == MOST_PARTS:
            parts["more"] = Part(f"only {MOST_PARTS} parts are told", hash(query.fields))
            break
        shown = "" if known is None else known.shown
        if len(shown) <= MOST_CHARS:
            said = HIDDEN if hidden else "(no value)" if value is None else _shown(value)
            shown = said if known is None else _cut(f"{shown}, {said}")
        mark = hash(value) if known is None else hash((known.mark, value))
        parts[name] = Part(shown, mark, aside=query.params is None and name.startswith("param "))
    return parts | _wholes(query, parts)


def shown_of(form: Form) -> dict[str, str]:
    """Return what a reader needs to see of a normal form."""
    return {name: part.shown for name, part in form.items() if not part.aside}


def labels_shown(labels: Sequence[str | None], asked: Form, frame: Form) -> list[str]:
    """Return what names parts, as far as a reader sees it in the form of their request; else it is hidden."""
    told = {name: part.shown for name, part in asked.items() if frame.get(name) != part and not part.whole}
    seen = [shown for name, shown in told.items() if name != "body"]  # of which only the length is told
    return [label if label and any(label in shown for shown in seen) else HIDDEN for label in labels]


def differences(here: Form, there: Form) -> tuple[Difference, ...]:
    """Return the parts in which two normal forms differ, in the order in which they are read."""
    told: list[Difference] = []
    in_the_whole: list[Difference] = []
    for name in dict.fromkeys((*here, *there)):
        one, other = here.get(name), there.get(name)
        if one != other:
            whole = all(part.whole for part in (one, other) if part is not None)
            difference = Difference(name, None if one is None else one.shown, None if other is None else other.shown)
            (in_the_whole if whole else told).append(difference)
    return tuple(told or in_the_whole)


_Piece = tuple[str, bytes | None, bool]
"""A part's name, its value, and whether it is a secret."""


def _pieces(query: Query) -> Iterator[_Piece]:
    yield "method", query.method.encode(), False
    yield "host", query.host, False
    yield "path", query.path, False
    if query.media_type:
        yield "media type", query.media_type, False
    own = {name for name, value in query.fields if _is_identity(name, value, query)}
    for name, value in query.fields:
        plain = _cut(_printable(name.decode("latin-1")))
        yield f"field {plain}", value, name in own or _SECRET.search(plain) is not None
    try:
        yield from _pairs("param", params_of(query))
    except Fallback:
        pass  # more than anybody reads
    if query.form is not None:
        yield from _pairs("form", query.form)
    elif len(query.body) <= MOST_BODY_BYTES:
        yield from _body(query)


def _is_identity(name: bytes, value: bytes, query: Query) -> bool:
    """Tell whether a field holds the keyed hash of who asks (`private_by`), not what was sent."""
    sent = [given.strip(b" \t") for named, given in query.headers if named == name]
    return len(value) == _IDENTITY_BYTES and bool(sent) and value not in {*sent, b", ".join(sent)}


def _pairs(kind: str, pairs: Params) -> Iterator[_Piece]:
    known: dict[bytes, tuple[str, bool]] = {}
    for name, value in pairs:
        if name not in known:
            shown = _shown(name)
            known[name] = f"{kind} {shown}", _SECRET.search(shown) is not None
        part, secret = known[name]
        yield part, value, secret and value is not None


def _body(query: Query) -> Iterator[_Piece]:
    if not query.body:
        return
    try:
        if query.media_type.strip().lower().startswith(_FORM):
            yield from _pairs("form", parse(query.body))
        else:
            yield from _leaves("$", json_text.parse(query.body))
    except Fallback:
        return  # nobody can tell what in it is a secret


def _leaves(path: str, value: json_text.Json) -> Iterator[_Piece]:
    if isinstance(value, dict) and value:
        for name, below in value.items():
            here = _cut(path + (f".{_told(name)}" if _PLAIN_NAME.fullmatch(name) else f"[{_told(repr(name))}]"))
            if _SECRET.search(name):
                yield here, json_text.write(below), True
            else:
                yield from _leaves(here, below)
    elif isinstance(value, list) and value:
        for number, below in enumerate(value):
            yield from _leaves(_cut(f"{path}[{number}]"), below)
    else:
        text = value if isinstance(value, json_text.Verbatim) else json.dumps(value, ensure_ascii=False)
        yield path, text.encode("utf-8", "surrogatepass"), False


def _wholes(query: Query, parts: Form) -> dict[str, Part]:
    """Return the query and the body as one part each: for a reader where nothing else stands in the key for them."""
    told: dict[str, Part] = {}
    asked = query.query if query.params is None else _written(query.params) or None
    if asked is not None:
        inside = any(name.startswith("param ") for name in parts)
        told["query"] = Part(_query_shown(asked), hash(asked), inside, inside and query.params is not None)
    sent = query.body if query.form is None else _written(query.form)
    if sent:
        inside = any(name.startswith(("$", "form ")) for name in parts)
        told["body"] = Part(f"{len(sent)} bytes", hash(sent), inside, inside)
    return told


def _written(pairs: Params) -> bytes:
    """Write pairs as a query: one form for each, escaped no more than a reader needs."""
    return b"&".join([_quoted(name) + (b"" if value is None else b"=" + _quoted(value)) for name, value in pairs])


def _quoted(text: bytes) -> bytes:
    return _TO_QUOTE.sub(lambda found: _QUOTED[found[0]], text)


def target_shown(target: bytes) -> str:
    """Return a request target with its secrets hidden."""
    path, asked, query = target.partition(b"?")
    return _shown(path) + (f"?{_query_shown(query)}" if asked else "")


def _query_shown(query: bytes) -> str:
    told = []
    for piece in query[: MOST_CHARS * 4].split(b"&"):
        name, equals, value = piece.partition(b"=")
        secret = equals and _SECRET.search(_shown(decoded(name.replace(b"+", b" "))))
        told.append(f"{_shown(name)}={HIDDEN}" if secret else _shown(name + equals + value))
    return _cut("&".join(told))


def _shown(value: bytes) -> str:
    value = value[: MOST_CHARS * 4]
    shown = _told(value.decode("utf-8", "backslashreplace"))
    for _ in range(MOST_ESCAPES):
        if b"%" not in value:
            break
        value = decoded(value)
        if _IN_TEXT.search(value.decode("utf-8", "replace")):
            return HIDDEN
    return shown


def _told(text: str) -> str:
    """Return a text as it may be printed anywhere: no secrets that it names, no control characters, not too long."""
    return _cut(_printable(_IN_TEXT.sub(rf"\1{HIDDEN}", text[: MOST_CHARS * 2])))


def _printable(text: str) -> str:
    if text.isprintable():
        return text
    return "".join([one if one.isprintable() else one.encode("unicode_escape").decode() for one in text])


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARS else f"{text[:MOST_CHARS]}[…]"
