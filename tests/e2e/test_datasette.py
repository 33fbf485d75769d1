"""A genuine upstream: Datasette on a small SQLite file gives the same pages through us as directly, and faster again."""

import gzip
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from differences import Message, differences
from running import Proxy, status_of
from wire import Answer, asked, raw_exchange

pytestmark = pytest.mark.asyncio(loop_scope="module")
RULES = [
    {
        "name": "tables",
        "match": {"path": "/cached/cities/*"},
        "key": ["sort_params", {"drop_params": ["utm_*", "_"]}],
        "ttl": "1h",
        "override": ["max-age"],
    }
]
PAGES = [
    "/", "/?", "//", "/cities", "/cities/", "/cities/cities", "/cities/cities?_nocount=1", "/cities/cities/1", "/cities/cities/9999",
    "/cities/cities.json", "/cities/cities.json?_sort=name&_size=3", "/cities/cities.json?_shape=array&name__contains=%C3%A4",
    "/cities/cities.json?_facet=people&_size=1&_nosuggest=1", "/cities/cities/1.json", "/cities.json?sql=select+1",
    "/cities.json?sql=select+name+from+cities+where+id+%3C+%3An&n=3&_shape=array", "/cities.json?sql=delete+from+cities",
    "/cities.json?sql=select+hex(zeroblob(500000))&_shape=array", "/cities?sql=select+1%3B", "/cities/cities.csv?_stream=1",
    "/cities/cities.csv?_size=5", "/cities/cities.blob", "/cities.db", "/-/static/app.css", "/-/static/table.js",
    "/-/static/none.css", "/-/static/../app.py", "/-/static/%2e%2e/app.py", "/-/versions.json", "/-/settings.json", "/-/metadata",
    "/-/", "/nope", "/ci%74ies/cities.json", "/cities/~63ities.json", "/cities%2Fcities", "/cities/cities?_search=|", "/%ff",
    "/_frontrunner/not-ours",
]  # fmt: skip
FRAMED_TWICE = pytest.mark.xfail(strict=True, reason="by its length and in chunks (RFC 9112 §6.3): we refuse it")
VOLATILE = re.compile(rb'"query_ms": [\d.e-]+|Queries took [\d.]+ms|"pid": \d+|"uptime[^,]*')


class Datasette:
    """`datasette serve` with these plugins on a free port, ready when it says so."""

    def __init__(self, folder: Path, plugins: str = "", start: tuple[str, ...] = ("-m", "datasette")) -> None:
        self.file = file = folder / "cities.db"
        rows = [(f"Stadt {number} \u00e4\u2028\U0001f600", number * 1000) for number in range(500)]
        connection = sqlite3.connect(file)
        connection.execute("create table cities (id integer primary key, name text, people integer)")
        connection.executemany("insert into cities (name, people) values (?, ?)", rows)
        connection.commit()
        connection.close()
        frozen = shutil.copy(file, folder / "frozen.db")
        options = [str(file), "--immutable", str(frozen), "--port", "0", "--setting", "base_url", "/cached/"]
        self.process = subprocess.Popen(
            [sys.executable, *start, "serve", *options],
            env=os.environ | {"DATASETTE_LOAD_PLUGINS": plugins},
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stderr is not None
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(r"running on http://127\.0\.0\.1:(\d+)", line):
                self.port = int(found[1])
                break
        else:
            raise AssertionError(said)
        self._drain = threading.Thread(target=self.process.stderr.read, daemon=True)
        self._drain.start()

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)
        self._drain.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()


@pytest.fixture(scope="module")
def datasette(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Datasette]:
    """Return a running Datasette."""
    running = Datasette(tmp_path_factory.mktemp("datasette"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def front(datasette: Datasette, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Return the proxy in front of it."""
    config = {"upstream": {"url": f"http://127.0.0.1:{datasette.port}"}, "rules": RULES}
    running = Proxy(config, tmp_path_factory.mktemp("proxy")).start()
    yield running
    running.stop()


async def get(port: int, page: str, *fields: bytes, method: bytes = b"GET") -> Answer:
    return await raw_exchange("127.0.0.1", port, asked(method, page.encode(), *fields))


def settled(method: bytes, answer: Answer) -> Message:
    """Return the answer without what Datasette measures or dates anew each time."""
    fields = tuple((name, b"now" if name.lower() == b"date" else value) for name, value in answer.fields)
    return Message.answered(method, replace(answer, fields=fields, body=VOLATILE.sub(b"", answer.body)))


@pytest.mark.parametrize("prefix", ["", "/cached"])
@pytest.mark.parametrize("page", [*PAGES, pytest.param("/frozen.db", marks=FRAMED_TWICE)])
async def test_a_page_is_the_same_as_without_us(page: str, prefix: str, datasette: Datasette, front: Proxy) -> None:
    """Status, fields in order and body are equal, directly and through us, also for what is not found."""
    direct, through = await get(datasette.port, prefix + page), await get(front.port, prefix + page)
    assert differences(settled(b"GET", direct), settled(b"GET", through)) == []


@pytest.mark.parametrize("page", ["/cached/cities/cities.json", "/cached/-/static/app.css", "/cached/nope"])
@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"POST"])
async def test_other_methods_are_the_same_too(method: bytes, page: str, datasette: Datasette, front: Proxy) -> None:
    """So are answers to methods that Datasette may not like."""
    page += "?" + method.decode()  # not yet in the store
    direct = await get(datasette.port, page, method=method)
    through = await get(front.port, page, method=method)
    assert differences(settled(method, direct), settled(method, through)) == []


async def test_a_repeated_and_a_reordered_query_are_hits(front: Proxy) -> None:
    """One call to Datasette for the same rows, however the parameters are ordered."""
    spellings = [
        "/cached/cities/cities.json?_size=7&_sort=name&_shape=array",
        "/cached/cities/cities.json?_size=7&_sort=name&_shape=array",
        "/cached/cities/cities.json?_sort=name&_shape=array&_size=7",
        "/cached/cities/cities.json?utm_source=x&_shape=array&_size=7&_sort=name&_=123",
    ]
    answers = [await get(front.port, spelling) for spelling in spellings]
    assert [status_of(answer)[0] for answer in answers] == ["uri-miss", "hit", "hit", "hit"]
    assert {answer.body for answer in answers} == {answers[0].body}
    assert len(answers[0].json()) == 7
    lines = [await front.line(answer) for answer in answers]
    assert [line["outcome"] for line in lines] == ["miss", "hit", "hit", "hit"]
    assert len({line["key_hash"] for line in lines}) == 1
    calls = [call for answer in answers for call in front.found(event="upstream_call", request_id=answer.request_id)]
    assert len(calls) == 1


async def test_other_rows_are_another_answer(front: Proxy) -> None:
    """A page, a filter or a format that differs is not taken from the store."""
    pages = [
        f"/cached/cities/cities.{end}" for end in ("json?_size=2", "json?_size=3", "csv?_size=2", "json?_size=2&id=1")
    ]
    for _ in range(2):
        bodies = [(await get(front.port, page)).body for page in pages]
        assert len(set(bodies)) == len(pages)


async def test_a_hit_has_datasettes_own_fields(front: Proxy) -> None:
    """What Datasette says of paging, type and referrer is there on a hit as on the miss."""
    page = "/cached/cities/cities.json?_size=4"
    first, second = [await get(front.port, page) for _ in range(2)]
    assert status_of(second)[0] == "hit"
    for name in (b"link", b"content-type", b"referrer-policy", b"vary", b"cache-control", b"date", b"server"):
        assert first.values(name) == second.values(name) != []


async def test_another_user_is_another_answer(front: Proxy) -> None:
    """Datasette varies by Cookie and Authorization: such requests are Datasette's to answer."""
    page = "/cached/cities/cities.json?_size=5"
    await get(front.port, page)
    for field in (b"Cookie: ds_actor=x", b"Authorization: Bearer x"):
        assert (await front.line(await get(front.port, page, field)))["outcome"] == "passthrough"


Pair = tuple[Datasette, Proxy]
OF_THE_EXCHANGE = {b"date", b"age", b"via", b"x-request-id", b"cache-status", b"transfer-encoding", b"content-length"}
GZIP = b"Accept-Encoding: gzip"
CODINGS = {"plain": (), "compressed": (GZIP,)}
FROZEN = "/frozen.db"
in_each_coding = pytest.mark.parametrize("fields", CODINGS.values(), ids=CODINGS)
KEPT = ["/cities/cities.json?_size=100&_ttl=60", "/cities/cities?_size=50&_ttl=60"]
WITH_H11 = "import sys; sys.modules['httptools'] = None; from datasette.cli import cli; cli()"
"""As `pip install datasette` has it: with httptools beside it, uvicorn frames a database twice."""
numbers = count()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Return a Datasette that compresses, and the proxy in front of it: no rule, what Datasette says is all that counts."""
    service = Datasette(tmp_path_factory.mktemp("compressing"), "datasette-gzip", ("-c", WITH_H11))
    running = Proxy({"upstream": f"http://127.0.0.1:{service.port}"}, tmp_path_factory.mktemp("proxy")).start()
    yield service, running
    running.stop()
    service.stop()


def told(answer: Answer, *aside: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return what an answer says whoever carries it: status, fields without those of the exchange, decoded content."""
    fields = [(name.lower(), value) for name, value in answer.fields]
    body = gzip.decompress(answer.body) if answer.values(b"content-encoding") == [b"gzip"] else answer.body
    kept = sorted(row for row in fields if row[0] not in OF_THE_EXCHANGE.union(aside))
    return answer.status, kept, VOLATILE.sub(b"", body)


def unseen(page: str) -> str:
    """Return a target for a page that nobody has asked for yet."""
    return f"{page}{'&' if '?' in page else '?'}_unseen={next(numbers)}"


@pytest.mark.parametrize("page", KEPT)
async def test_each_gets_its_own_coding(page: str, pair: Pair) -> None:
    """Datasette varies by Accept-Encoding: whoever comes first, each gets from the store what Datasette gives to it."""
    datasette, front = pair
    target = unseen(page)
    direct = [told(await get(datasette.port, target, *fields)) for fields in CODINGS.values()]
    for stored in (False, True):
        answers = [await get(front.port, target, *fields) for fields in CODINGS.values()]
        assert [told(answer) for answer in answers] == direct
        assert [answer.values(b"content-encoding") for answer in answers] == [[], [b"gzip"]]
        assert [status_of(answer)[0] == "hit" for answer in answers] == [stored] * 2


@pytest.mark.parametrize("field", [b"Cookie: ds_actor=x", b"Authorization: Bearer x"])
async def test_who_is_somebody_asks_datasette(field: bytes, pair: Pair) -> None:
    """Datasette varies by Cookie and Authorization, and lets nobody keep such answers; the one for all stays."""
    datasette, front = pair
    target = unseen(KEPT[0])
    await get(front.port, target)
    for _ in range(2):
        direct, through = [await get(port, target, field) for port in (datasette.port, front.port)]
        assert (told(through), direct.value(b"cache-control")) == (told(direct), b"private, no-store")
        assert status_of(through)[0] != "hit"
    assert status_of(await get(front.port, target))[0] == "hit"


@in_each_coding
async def test_a_database_is_asked_about_by_its_tag(fields: tuple[bytes, ...], pair: Pair) -> None:
    """A database has a tag and no lifetime: each time Datasette says 304, and the client gets it whole.

    Of that 304 its Vary and its Content-Type, text/plain, are not those of the database.
    """
    datasette, front = pair
    target = unseen(FROZEN)
    direct, first = [await get(port, target, *fields) for port in (datasette.port, front.port)]
    assert (told(first), status_of(first)[1]["stored"]) == (told(direct), "")
    for _ in range(2):
        again = await get(front.port, target, *fields)
        aside = (b"vary", b"content-type")
        assert told(again, *aside) == told(direct, *aside)
        assert status_of(again) == ("stale", {"fwd": "stale", "fwd-status": "304", "stored": ""})
        assert (await front.line(again))["outcome"] == "revalidated"


@pytest.mark.parametrize("known", ["%s", "W/%s", '"a", %s', "*", '"a"', ""])
async def test_a_client_knows_a_database_by_its_tag(known: str, pair: Pair) -> None:
    """It gets 304, also where Datasette, which compares tags only as they are written, gives the whole again."""
    datasette, front = pair
    target = unseen(FROZEN)
    whole = await get(front.port, target)
    condition = ("If-None-Match: " + known.replace("%s", whole.value(b"etag").decode())).encode()
    direct, through = [await get(port, target, condition) for port in (datasette.port, front.port)]
    status, body = (200, whole.body) if known in {'"a"', ""} else (304, b"")
    assert (through.status, through.value(b"etag"), through.body) == (status, whole.value(b"etag"), body)
    assert direct.status == (304 if known == "%s" else 200)


@in_each_coding
@pytest.mark.parametrize("page", [KEPT[0], FROZEN])
async def test_parts_are_cut_from_the_store(page: str, fields: tuple[bytes, ...], pair: Pair) -> None:
    """Datasette gives no parts; what is stored has some: bytes of the very answer that is stored."""
    datasette, front = pair
    target = unseen(page)
    whole = await get(front.port, target, *fields)
    size, tag = len(whole.body), whole.value(b"etag") or b'"none"'
    for wanted, span in (
        (b"bytes=0-9", (0, 10)),
        (b"bytes=-7", (size - 7, size)),
        (b"bytes=100-99999999", (100, size)),
        (b"bytes=0-9\r\nIf-Range: " + tag, (0, 10) if page == FROZEN else None),
        (b'bytes=0-9\r\nIf-Range: "a"', None),
        (b"lines=0-9", None),
    ):
        part = b"Range: " + wanted
        direct, through = [await get(port, target, *fields, part) for port in (datasette.port, front.port)]
        place = b"bytes %d-%d/%d" % (span[0], span[1] - 1, size) if span else b""
        assert (through.status, through.value(b"content-range")) == (206 if span else 200, place)
        assert through.body == whole.body[slice(*span or (None,))]
        assert told(direct)[::2] == (200, told(whole)[2])
    two = await get(front.port, target, *fields, b"Range: bytes=0-3,10-12")
    outside = await get(front.port, target, *fields, b"Range: bytes=99999999-")
    assert [two.status, whole.body[0:4] in two.body, whole.body[10:13] in two.body] == [206, True, True]
    assert (outside.status, outside.value(b"content-range")) == (416, b"bytes */%d" % size)


async def test_a_confirmed_coding_stays_with_those_who_take_it(pair: Pair) -> None:
    """Datasette's 304 does not name Accept-Encoding in Vary as its 200 did: still only who takes gzip gets it."""
    _, front = pair
    target = unseen(FROZEN)
    for fields in ((), (GZIP,), (GZIP,)):
        await get(front.port, target, *fields)
    assert (await get(front.port, target)).values(b"content-encoding") == []


async def test_a_new_row_is_seen(pair: Pair) -> None:
    """A fresh answer stays as it is; who reloads gets the new row, and so do all after that."""
    datasette, front = pair
    target = unseen("/cities.json?sql=select+count(*)+as+n+from+cities&_shape=array&_ttl=60")
    assert (await get(front.port, target)).json() == [{"n": 500}]
    with sqlite3.connect(datasette.file) as connection:
        connection.execute("insert into cities (name, people) values ('Neustadt', 1)")
    connection.close()
    for fields, number, outcome in (((), 500, "hit"), ((b"Cache-Control: no-cache",), 501, "miss"), ((), 501, "hit")):
        answer = await get(front.port, target, *fields)
        assert (answer.json(), (await front.line(answer))["outcome"]) == ([{"n": number}], outcome)
    assert told(answer) == told(await get(datasette.port, target))
