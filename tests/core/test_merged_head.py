"""The heads of parts' answers → the head of their merged answer."""

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core import cache_control, http_date
from proxy.core.merged_head import Head, head_of_entry, head_of_response, merged_head
from proxy.core.reasons import Reason
from proxy.core.types import Entry, Response
from proxy.errors import Fallback

NOW = 1_700_000_000.0


def date(seconds):
    return http_date.render(NOW + seconds)


def merged(*heads, ages=None):
    ages = ages or [None] * len(heads)
    parts = [Head(200, tuple(fields), age) for fields, age in zip(heads, ages, strict=True)]
    return dict(merged_head(parts, 9, NOW))


def one(name, *values):
    """Return what becomes of one field that parts have with these values, None where one has none."""
    return merged(*[[(name, value)] if value is not None else [] for value in values]).get(name)


CACHE_CONTROL = {
    "what all say stays as it is": ([b"public,max-age=60", b"public,max-age=60"], b"public,max-age=60"),
    "the shortest lifetime": ([b"max-age=60", b"max-age=30", b"max-age=45"], b"max-age=30"),
    "the shortest for shared caches": ([b"s-maxage=60, max-age=5", b"s-maxage=30, max-age=9"], b"max-age=5, s-maxage=30"),
    "max-age is for shared caches too (§5.2.2.10)": ([b"s-maxage=60, max-age=5", b"max-age=9"], b"max-age=5, s-maxage=9"),
    "no lifetime beside one is none": ([b"max-age=60", b"public"], b"max-age=0"),
    "nor is a missing field": ([b"max-age=60", None], b"max-age=0"),
    "none at all": ([b"public", b"public, no-transform"], b"public, no-transform"),
    "nonsense is none (§4.2.1)": ([b"max-age=x", b"max-age=60"], b"max-age=0"),
    "one word of no is enough": ([b"max-age=60", b"no-store"], b"no-store, max-age=0"),
    "every restriction": (
        [b"max-age=1, private, must-revalidate", b"max-age=1, no-cache", b"max-age=1, proxy-revalidate"],
        b"private, must-revalidate, no-cache, proxy-revalidate, max-age=1",
    ),
    "permissions need all": ([b"public, immutable, max-age=9", b"public, max-age=8"], b"public, max-age=8"),
    "must-understand weakens no-store (§5.2.2.3)": ([b"no-store, must-understand", b"no-store"], b"no-store"),
    "no-cache about some fields": ([b'no-cache="b, A"', b'no-cache="c"'], b'no-cache="a, b, c"'),
    "and about all of them": ([b'no-cache="b"', b"no-cache"], b"no-cache"),
    "the shortest grace": (
        [b"max-age=9, stale-if-error=60", b"max-age=9, stale-if-error=50"], b"stale-if-error=50, max-age=9",
    ),
    "grace needs all": ([b"max-age=9, stale-while-revalidate=60", b"max-age=8"], b"max-age=8"),
    "an unknown word that all say": ([b"max-age=9, x=a", b"x=a, max-age=8"], b"x=a, max-age=8"),
    "nothing that holds for all": ([b"public", None], None),
    "names are not case-sensitive": ([b"Max-Age=9", b"MAX-AGE=8"], b"max-age=8"),
}  # fmt: skip


@pytest.mark.parametrize(("values", "becomes"), CACHE_CONTROL.values(), ids=CACHE_CONTROL)
def test_freshness_is_the_most_restrictive(values, becomes):
    """RFC 9111 §5.2.2."""
    assert one(b"cache-control", *values) == becomes


EXPIRES = {
    "the same": ([{b"expires": date(60)}, {b"expires": date(60)}], {b"expires": date(60)}),
    "the earliest": ([{b"expires": date(60)}, {b"expires": date(30)}], {b"expires": date(30)}),
    "no date is in the past (§5.3)": ([{b"expires": b"0"}, {b"expires": date(30)}], {b"expires": b"0"}),
    "not in all": ([{b"expires": date(60)}, {}], {b"cache-control": b"max-age=0"}),
    "nor, and no date": ([{b"expires": b"-1"}, {}], {b"cache-control": b"max-age=0"}),
    "one by Expires, one by max-age": (
        [{b"expires": date(50), b"date": date(-10)}, {b"cache-control": b"max-age=90", b"date": date(0)}],
        {b"cache-control": b"max-age=60", b"date": date(-10)},
    ),
    "max-age goes before Expires (§5.3)": (
        [{b"cache-control": b"max-age=9", b"expires": date(60)}, {b"cache-control": b"max-age=9", b"expires": date(50)}],
        {b"cache-control": b"max-age=9", b"expires": date(50)},
    ),
    "and says enough": (
        [{b"cache-control": b"max-age=9", b"expires": date(60)}, {b"cache-control": b"max-age=9"}],
        {b"cache-control": b"max-age=9"},
    ),
    "the oldest date": ([{b"date": date(-9)}, {b"date": date(-30)}], {b"date": date(-30)}),
    "none is now": ([{b"date": date(9)}, {}], {b"date": date(0)}),
}  # fmt: skip


@pytest.mark.parametrize(("heads", "becomes"), EXPIRES.values(), ids=EXPIRES)
def test_what_expires_first_decides(heads, becomes):
    """RFC 9111 §4.2.1, §5.3."""
    assert merged(*[head.items() for head in heads]) == {**becomes, b"content-length": b"9"}


lifetimes = st.integers(0, 100)
said = st.builds(
    lambda words, own, shared: ", ".join(
        [*words, *([] if own is None else [f"max-age={own}"]), *([] if shared is None else [f"s-maxage={shared}"])]
    ).encode(),
    st.lists(st.sampled_from(["no-store", "no-cache", "private", "public", "must-revalidate"]), unique=True),
    st.none() | lifetimes,
    st.none() | lifetimes,
)


@given(st.lists(said, min_size=1, max_size=4))
def test_the_merged_answer_may_never_do_what_a_part_may_not(values):
    became = cache_control.parse(one(b"cache-control", *values))
    parts = [cache_control.parse(value) for value in values]
    for part in parts:
        assert not {"no-store", "no-cache", "private", "must-revalidate"} & part.keys() - became.keys()
        assert "public" not in became or "public" in part
    for shared in (False, True):
        lived = [_lifetime(part, shared=shared) for part in parts]
        lives = _lifetime(became, shared=shared)
        assert lives is None if set(lived) == {None} else lives <= min(each or 0 for each in lived)


def _lifetime(part, *, shared):
    seconds = cache_control.seconds(part, "s-maxage") if shared else None
    return cache_control.seconds(part, "max-age") if seconds is None else seconds


AGES = {
    "nobody said one": ([None, None], None),
    "the oldest": ([None, 7.9, 3.0], b"7"),
    "of one that was stored just now": ([None, 0.0], b"0"),
}


@pytest.mark.parametrize(("ages", "age"), AGES.values(), ids=AGES)
def test_age_is_the_oldest(ages, age):
    """RFC 9111 §5.1."""
    assert merged(*[[] for _ in ages], ages=ages).get(b"age") == age


def test_a_stored_part_is_as_old_as_it_is_now():
    entry = Entry(200, ((b"etag", b'"1"'),), b"x", stored_at=NOW - 5, ttl=60.0, age=2.0)
    assert head_of_entry(entry, NOW) == Head(200, entry.headers, 7.0)


@pytest.mark.parametrize(("headers", "age"), [((), None), (((b"age", b"12"),), 12.0)])
def test_a_fetched_part_is_as_old_as_it_says(headers, age):
    assert head_of_response(Response(200, headers)) == Head(200, headers, age)


VARY = {
    "what all say stays as it is": ([b"Accept,Cookie", b"Accept,Cookie"], b"Accept,Cookie"),
    "of each part": ([b"Accept", b"accept, Cookie", None], b"Accept, Cookie"),
    "empty members": ([b"Accept,", b", Cookie"], b"Accept, Cookie"),
    "of everything": ([b"Accept", b"*"], b"*"),
}


@pytest.mark.parametrize(("values", "becomes"), VARY.values(), ids=VARY)
def test_vary_names_what_any_part_varies_by(values, becomes):
    """RFC 9110 §12.5.5."""
    assert one(b"vary", *values) == becomes


def test_pragma_forbids_where_one_does():
    assert one(b"pragma", None, b"no-cache") == b"no-cache"


GROUPS = {
    "cache-groups": (b'"a"', b'"b, c", "A"', b'"a", "b, c", "A"'),
    "cache-tag": (b"a", b"B,A", b"a,B,A"),
    "surrogate-key": (b"a", b"B A", b"a B A"),
    "xkey": (b"a", b"b c", b"a b c"),
}


@pytest.mark.parametrize(("name", "first", "second", "both"), [(name, *row) for name, row in GROUPS.items()])
def test_what_invalidates_a_part_invalidates_the_whole(name, first, second, both):
    """RFC 9875 §2."""
    assert one(name.encode(), first, None, second, first) == both


NEVER = [b"set-cookie", b"content-range", b"x-total-count", b"x-pagination"]


@pytest.mark.parametrize("name", NEVER)
@pytest.mark.parametrize("others", [None, b"1"], ids=["in one", "in all"])
def test_what_is_one_clients_or_one_parts_own_is_not_merged(name, others):
    with pytest.raises(Fallback) as fallback:
        one(name, b"1", others)
    assert fallback.value.reason == Reason.MERGED_HEAD


THE_SAME = [
    b"content-type", b"content-language", b"content-disposition", b"location", b"link", b"content-security-policy",
    b"content-security-policy-report-only", b"strict-transport-security", b"www-authenticate",
    b"x-content-type-options", b"x-frame-options", b"referrer-policy", b"permissions-policy",
    b"cross-origin-resource-policy", b"access-control-allow-origin", b"access-control-expose-headers",
    b"access-control-allow-credentials", b"clear-site-data", b"cdn-cache-control",
]  # fmt: skip


@pytest.mark.parametrize("name", THE_SAME)
def test_what_guards_a_part_must_be_the_same_for_all(name):
    assert one(name, b"a", b"a") == b"a"
    for values in [(b"a", b"b"), (b"a", None), (None, b"a")]:
        with pytest.raises(Fallback) as fallback:
            one(name, *values)
        assert fallback.value.reason == Reason.MERGED_HEAD


@pytest.mark.parametrize("values", [[b"max-age=9, x=a", b"max-age=9"], [b"x=a", b"x=b"], [None, b"x"], [b"y", b"x"]])
def test_a_directive_that_nobody_knows_must_be_the_same_for_all(values):
    with pytest.raises(Fallback):
        one(b"cache-control", *values)


@pytest.mark.parametrize("statuses", [(200, 404), (404, 404), (206, 206), (200, 203), (204,)])
def test_only_answers_that_are_all_200_go_together(statuses):
    with pytest.raises(Fallback) as fallback:
        merged_head([Head(status, ()) for status in statuses], 9, NOW)
    assert fallback.value.reason == Reason.MERGED_HEAD


OF_A_PART = [
    b"etag", b"last-modified", b"content-md5", b"digest", b"content-digest", b"repr-digest", b"content-encoding",
    b"transfer-encoding", b"accept-ranges", b"connection", b"server-timing", b"x-request-id", b"signature",
]  # fmt: skip


@pytest.mark.parametrize("name", OF_A_PART)
def test_what_tells_of_a_parts_own_bytes_is_dropped(name):
    assert one(name, b"same", b"same") is None


def test_the_length_is_that_of_the_merged_body():
    assert one(b"content-length", b"3", b"4") == b"9"


REST = {
    "equal": ([b"a", b"a"], b"a"),
    "different": ([b"a", b"b"], None),
    "not in the first": ([None, b"a"], None),
    "not in the last": ([b"a", None], None),
}


@pytest.mark.parametrize(("values", "becomes"), REST.values(), ids=REST)
@pytest.mark.parametrize("name", [b"server", b"x-api-version", b"via", b"x-ratelimit-remaining"])
def test_of_the_rest_stays_what_is_equal_in_all(name, values, becomes):
    assert one(name, *values) == becomes


def test_a_field_of_several_lines_is_compared_as_a_whole():
    """RFC 9110 §5.3."""
    assert merged([(b"x", b"a"), (b"x", b"b")], [(b"x", b"a, b")])[b"x"] == b"a, b"


def test_the_order_of_the_parts_does_not_change_what_is_said():
    heads = [
        [(b"vary", b"accept"), (b"cache-control", b"max-age=9, public"), (b"date", date(-5)), (b"x", b"1")],
        [(b"vary", b"origin"), (b"cache-control", b"max-age=60"), (b"expires", date(3)), (b"x", b"2")],
        [(b"cache-control", b"max-age=60, private"), (b"date", date(-7)), (b"server", b"s")],
    ]
    said = [merged(*some) for some in permutations(heads)]
    for fields in said:
        fields[b"vary"] = set(fields[b"vary"].split(b", "))
        fields[b"cache-control"] = set(fields[b"cache-control"].split(b", "))
    assert said == [said[0]] * len(said)
    assert said[0][b"cache-control"] == {b"max-age=9", b"private"}
