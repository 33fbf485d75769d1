"""Beside hishel 2, another cache by RFC 9111: the same pairs of requests, and every difference decided by the text.

A pair is a request with its answer, and a second request some seconds later. Both caches say in one word what becomes
of the second. Where they differ, lines of the tables below must explain it: a line names a cause, and a cure that takes
it out of the pair. A difference is explained when both say the same after the cures; a line explains differences in its
own direction only, so that we are nowhere laxer than another cache without a line that says so.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import NamedTuple
from uuid import UUID

import hishel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.core import http_date
from proxy.core.freshness import Act, judge
from proxy.core.key import variant_key
from proxy.core.plan import directives_of, reason_to_pass
from proxy.core.rules import default_rule, first_match
from proxy.core.storing import decide, entry_of
from proxy.core.types import Request, Response

NOW = 784111777.0
RULE = default_rule()
WORDS = ("504", "not stored", "fetched", "validated", "used")
"""What becomes of the second request, from distrust to trust; `fetched`: in spite of what is stored."""


def at(seconds: float) -> str:
    return http_date.render(NOW + seconds).decode()


Pair = Mapping[str, str]
"""All that is said, by who says it: the first request, its answer, the second request; "" is not said at all."""
USUAL: Pair = {
    "first method": "GET", "answer status": "200", "answer framed": "yes", "answer date": at(0),
    "answer cache-control": "max-age=60", "answer etag": '"a"', "second method": "GET", "second after": "5",
}  # fmt: skip
NO_FIELDS = ("method", "status", "framed", "after")


def fields(one: Pair, place: str) -> dict[str, str]:
    said = {name.removeprefix(place + " "): value for name, value in one.items() if value and name.startswith(place)}
    return {name: value for name, value in said.items() if name not in NO_FIELDS}


def our_word(one: Pair) -> str:
    """Say what serve.py and accelerate.py make of the core's decisions, under the implicit last rule."""
    first, second = (Request(one[f"{place} method"], b"/", raw(one, place)) for place in ("first", "second"))
    answer = Response(int(one["answer status"]), raw(one, "answer"), b"", framed=one["answer framed"] == "yes")
    entry, same_variant = None, False
    if not passes(first) and first.method != "HEAD":
        storing = decide(first, answer, RULE, NOW)
        if storing.reason is None:
            entry = entry_of(answer, b"", storing, RULE, now=NOW, cost=0.0)
            places = [variant_key(b"", storing.vary, asked.headers) for asked in (first, second)]
            same_variant = places[0] == places[1] and not (entry.guessed and b"cookie" in second.fields)
    otherwise = "not stored" if entry is None else "fetched"
    if passes(second):
        return otherwise
    act = judge(entry if same_variant else None, NOW + float(one["second after"]), directives_of(second)).act
    if act in {Act.DELIVER, Act.REFRESH}:
        return "used"
    if "only-if-cached" in directives_of(second):
        return "504"
    return "validated" if act is Act.REVALIDATE and second.method == "GET" else otherwise


def raw(one: Pair, place: str) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in fields(one, place).items())


def passes(request: Request) -> bool:
    rule = first_match([RULE], request, b"")
    return rule is None or reason_to_pass(request, rule, directives_of(request)) is not None


CLOCK = SimpleNamespace(now=NOW, time=lambda: CLOCK.now)
SHARED = hishel.CacheOptions(shared=True, supported_methods=["GET", "HEAD"], allow_stale=False)


@pytest.fixture(autouse=True)
def _one_clock(monkeypatch):
    """Hand hishel the time, which it takes for itself where ours is an argument."""
    monkeypatch.setattr("hishel._core._spec.time", CLOCK)


def hishels_word(one: Pair) -> str:
    told = {place: hishel.Headers(fields(one, place)) for place in ("first", "answer", "second")}
    first, second = (hishel.Request(one[f"{place} method"], "/", told[place]) for place in ("first", "second"))
    CLOCK.now = NOW
    answer = hishel.Response(int(one["answer status"]), told["answer"])
    kept = hishel.CacheMiss(request=first, options=SHARED).next(answer)
    if not isinstance(kept, hishel.StoreAndUse):
        return "not stored"
    CLOCK.now = NOW + float(one["second after"])
    state = hishel.IdleClient(options=SHARED).next(second, [hishel.Entry(UUID(int=1), first, kept.response)])
    if isinstance(state, hishel.FromCache):
        return "used"
    asks = isinstance(state, hishel.NeedRevalidation) and state.request.headers != second.headers
    return "validated" if asks else "fetched"


def both_words(one: Pair) -> tuple[str, str]:
    return our_word(one), hishels_word(one)


class Line(NamedTuple):
    """An example, by what is unusual in it; our word, hishel's; the cure, which rewrites one thing that is said."""

    unusual: Pair
    our_word: str
    hishels_word: str
    what: str
    pattern: str
    text: str | Callable[[re.Match[str]], str] = ""
    where: tuple[tuple[str, str], ...] = ()
    """What else must be said for the cure to help."""

    def cured(self, one: Pair) -> Pair:
        said = one.get(self.what, "")
        helps = all(re.search(pattern, one.get(what, "")) for what, pattern in self.where)
        better = re.sub(self.pattern, self.text, said) if helps else said
        return one if better == said else {**one, self.what: better}

    def is_about(self, words: tuple[str, str]) -> bool:
        ours, hishels, our_now, hishels_now = (WORDS.index(word) for word in (self.our_word, self.hishels_word, *words))
        return (ours > hishels) == (our_now > hishels_now)


def first_lifetimes(said: re.Match[str]) -> str:
    """Leave out a lifetime that was named before."""
    members = reversed(said[0].split(", "))
    return ", ".join({member.partition("=")[0] if "age=" in member else member: member for member in members}.values())


FIRST, SAID, SECOND = "first cache-control", "answer cache-control", "second cache-control"
GUESSED = {SAID: "", "answer last-modified": at(-100 * 86400)}
LATE = {"second after": "90"}
MAY_BE_STALE = (SAID, "^(?!.*(-revalidate(?!=)|s-maxage|no-cache(?!=)))")
STALE_FOR_A_MINUTE = LATE | {SAID: "max-age=60, stale-while-revalidate=60"}

THEIRS = {  # the fault is hishel's
    "§4.2.3: the time that an answer spent in other caches is part of its age":
        Line({"answer age": "58"}, "validated", "used", "answer age", ".+"),
    "§4.2.3, RFC 9110 §6.6.1: an answer without a Date that can be read ages from when it came":
        Line(LATE | {"answer date": ""}, "validated", "used", "answer date", "^(soon)?$", at(0)),
    "§4.2.1: a lifetime that makes no sense is over":
        Line(GUESSED | {SAID: "max-age=soon"}, "validated", "used", SAID, "age=(soon|-5)", "age=0"),
    "§4.2.1: of two lifetimes the first counts, be it shorter":
        Line({SAID: "max-age=2, max-age=60"}, "validated", "used", SAID, ".+", first_lifetimes),
    "§4.2.1: of two lifetimes the first counts, be it longer":
        Line({SAID: "max-age=60, max-age=2"}, "used", "validated", SAID, ".+", first_lifetimes),
    "§5.3: an Expires that is none is in the past":
        Line({SAID: "", "answer expires": f"{at(60)[:-3]}+0100"}, "validated", "used",
             "answer expires", ".*([+]0100|,.*,.*)", "0"),
    "§4.2.1, §5.2.2.7: what is private as a whole is not so in part":
        Line({SAID: 'private, private="x-a", max-age=60'}, "not stored", "used", SAID, "private=", "x=",
             where=((SAID, "private(,|$)"),)),
    "§4.2.1, §5.2.2.4: what is not used unasked as a whole is not so in part":
        Line({SAID: 'no-cache, no-cache="x-a", max-age=60'}, "validated", "used", SAID, "no-cache=", "x=",
             where=((SAID, "no-cache(,|$)"),)),
    "§5.2.2.3: who does not know a status does not store what must be understood":
        Line({"answer status": "599", SAID: "must-understand, max-age=60"}, "not stored", "used", SAID, "must-understand"),
    "§5.2.2.3: who knows a status stores what others must not":
        Line({SAID: "must-understand, no-store, max-age=60"}, "used", "not stored", SAID, "no-store",
             where=((SAID, "must-understand"),)),
}  # fmt: skip

NOBODYS = {  # the text leaves it open; what a client's directives ask for is advice (§5.2.1)
    "§5.2.1.1: a client's max-age is heard":
        Line({SECOND: "max-age=4"}, "validated", "used", SECOND, "max-age[^,]+"),
    "§5.2.1.2: a client's max-stale is heard":
        Line(LATE | {SECOND: "max-stale"}, "used", "validated", SECOND, "max-stale[^,]*", where=(MAY_BE_STALE,)),
    "§5.2.1.3: a client's min-fresh is heard":
        Line({SECOND: "min-fresh=56"}, "validated", "used", SECOND, "min-fresh[^,]+"),
    "§5.2.1, §5.2.1.5: nothing is stored for a client that says no-store":
        Line({FIRST: "no-store"}, "not stored", "used", FIRST, "no-store"),
    "§5.2.1.5: who says no-store is answered by the origin, though what is stored would do":
        Line({SECOND: "no-store"}, "fetched", "used", SECOND, "no-store"),
    "§5.2.1.7: a client's only-if-cached is heard":
        Line(LATE | {SECOND: "only-if-cached"}, "504", "validated", SECOND, "only-if-cached"),
    "§5.4: a Pragma is heard":
        Line({"second pragma": "no-cache"}, "validated", "used", "second pragma", ".+"),
    "§3: the answer to a HEAD is not stored":
        Line({"first method": "HEAD"}, "not stored", "fetched", "first method", "HEAD", "GET"),
    "§4, RFC 9110 §9.3.2: a HEAD is answered from what a GET brought":
        Line({"second method": "HEAD"}, "used", "fetched", "second method", "HEAD", "GET"),
    "§3, §3.5: a lifetime that makes no sense is still a word of the origin":
        Line({"answer status": "302", SAID: "max-age=soon"}, "validated", "not stored", SAID, "age=(soon|-5)", "age=0"),
    "§3: what can be neither used nor asked about is not stored":
        Line({"answer etag": "", SAID: "max-age=0"}, "not stored", "fetched", "answer etag", "^$", '"a"'),
    "§3: a failure that is not fresh is not stored":
        Line({"answer status": "501", SAID: "no-cache"}, "not stored", "validated", "answer status", "5..", "404"),
    "§3: a stream of events has no end":
        Line({"answer content-type": "text/event-stream"}, "not stored", "used", "answer content-type", "text/event-.+"),
    "§3.3, RFC 9112 §8: a body whose end is not marked may have been cut":
        Line({"answer framed": "no"}, "not stored", "used", "answer framed", "no", "yes"),
    "§7.3: what sets a cookie is somebody's own":
        Line({"answer set-cookie": "sid=1"}, "not stored", "used", "answer set-cookie", ".+"),
    "§4.1: what never matches is not stored":
        Line({"answer vary": "*"}, "not stored", "validated", "answer vary", "[*]"),
    "§4.1, §4.3.1: another variant is asked for, not about":
        Line({"answer vary": "accept", "second accept": "a/b"}, "fetched", "validated", "answer vary", "[^*]+"),
    "§4.1: codings in another order are the same codings":
        Line({"answer vary": "accept-encoding", "first accept-encoding": "br, gzip", "second accept-encoding": "gzip,br"},
             "used", "validated", "answer vary", "accept-encoding",
             where=(("first accept-encoding", ","), ("second accept-encoding", ","))),
    "§4.2.4, RFC 5861 §3: what may be served stale is, while it is refreshed":
        Line(STALE_FOR_A_MINUTE, "used", "validated", SAID, "stale-while[^,]+", where=(MAY_BE_STALE,)),
    "§4.2.2: a guess is a day at most, and does not grow":
        Line(GUESSED | {"second after": "100000"}, "validated", "used", "answer last-modified", ".+",
             where=((SAID, "^(?!.*max)"), ("answer expires", "^$"))),
    "§4.2.2: for who sends a Cookie nothing is guessed":
        Line(GUESSED | {"first cookie": "a=1"}, "not stored", "used", "first cookie", ".+"),
    "§4.2.2: a guess for all is not for who sends a Cookie":
        Line(GUESSED | {"second cookie": "a=1"}, "fetched", "used", "second cookie", ".+"),
    "§4.2.3: the Date need not count: up to a second of it is rounding":
        Line({"answer date": at(-55)}, "used", "validated", "second after", ".+", lambda found: str(int(found[0]) + 1),
             where=(("answer date", f"{at(-30)}|{at(-55)}"),)),
}  # fmt: skip

TABLE = THEIRS | NOBODYS


@pytest.mark.parametrize("line", TABLE.values(), ids=TABLE)
def test_each_line_has_a_difference_to_explain_and_a_cure_for_it(line):
    example = {**USUAL, **line.unusual}
    assert both_words(example) == (line.our_word, line.hishels_word)
    ours, hishels = both_words(line.cured(example))
    assert ours == hishels


def explanation(one: Pair) -> list[str]:
    """Return the lines whose cures, one after another, make both caches say the same; first those that tell at once."""
    lines: list[str] = []
    while (words := both_words(one))[0] != words[1]:
        fitting = {name: line.cured(one) for name, line in TABLE.items() if name not in lines and line.is_about(words)}
        cured = {name: better for name, better in fitting.items() if better != one}
        left = {what: said for what, said in one.items() if said}
        assert cured, f"we say {words[0]!r}, hishel {words[1]!r}, of what is left after {lines}: {left}"
        name = next((name for name, better in cured.items() if both_words(better) != words), next(iter(cured)))
        lines, one = [*lines, name], cured[name]
    return lines


def mostly(usual: str, *others: str) -> st.SearchStrategy[str]:
    return st.sampled_from([*[usual] * 12, *others])


def control(most: int, *directives: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(directives), max_size=most).map(", ".join)


DIRECTIVES = (
    *["max-age=60"] * 6, *["s-maxage=60"] * 3, *["must-revalidate"] * 2, *["max-age=9, stale-while-revalidate=60"] * 3,
    "max-age=9", "max-age=0", "max-age=soon", "s-maxage=-5", "no-cache", 'no-cache="set-cookie"', "no-store", "private",
    'private="x-a"', "public", "proxy-revalidate", "must-understand", "immutable", "stale-if-error=60", "unheard-of=1",
)  # fmt: skip
ASKED = ("no-cache", "no-store", "max-age=4", "max-age=100", "min-fresh=30", "max-stale", "max-stale=40")
DATES = (at(60), at(3600), at(-60), at(60).lower(), f"{at(60)[:-3]}+0100", f"{at(60)}, {at(60)}", "0", "soon")
WHO_ASKS = {
    "method": mostly("GET", "HEAD", "POST"), "accept": st.sampled_from(["", "a/b", "c/d"]), "cookie": mostly("", "a=1"),
    "accept-encoding": st.sampled_from(["", "br", "br, gzip", "gzip,br"]), "authorization": mostly("", "Bearer a"),
    "pragma": mostly("", "no-cache"),
}  # fmt: skip
ANSWER = {
    "status": mostly("200", "203", "204", "206", "301", "302", "304", "307", "404", "410", "500", "501", "503", "599"),
    "framed": mostly("yes", "no"),
    "date": mostly(at(0), at(-30), at(-55), "soon", ""),
    "expires": mostly("", *DATES),
    "age": mostly("", "0", "30", "58", "60", "-5", "soon", "30, 58"),
    "last-modified": mostly("", at(-100), at(-86400), at(-100 * 86400), "soon"),
    "etag": st.sampled_from(['"a"', '"a"', 'W/"a"', ""]),
    "vary": mostly("", *["Accept", "accept-encoding"] * 3, "accept-encoding, Accept", "*", "accept, *"),
    "set-cookie": mostly("", "sid=1"),
    "content-type": mostly("", "text/plain", "text/event-stream"),
}
PAIRS = st.fixed_dictionaries({
    **{f"{place} {name}": values for place in ("first", "second") for name, values in WHO_ASKS.items()},
    **{f"answer {name}": values for name, values in ANSWER.items()},
    FIRST: control(1, "", "", *ASKED), SAID: control(3, *DIRECTIVES), SECOND: control(2, *ASKED, "only-if-cached"),
    "second after": st.sampled_from(["0", "5", "29", "30", "59", "60", "90", "3600", "100000"]),
})  # fmt: skip


def test_every_difference_is_explained():
    met: Counter[str] = Counter()

    @settings(derandomize=True, database=None, deadline=None, max_examples=2000)
    @given(PAIRS)
    def explain(one: Pair) -> None:
        explanation(one)
        met[our_word(one)] += 1

    explain()
    assert all(met[word] >= 20 for word in WORDS), met
