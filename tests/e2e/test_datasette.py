"""A genuine upstream: Datasette on a small SQLite file gives the same pages through us as directly, and faster again."""

import re
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
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
VOLATILE = re.compile(rb'"query_ms": [\d.e-]+|Queries took [\d.]+ms|"pid": \d+|"uptime[^,]*')


class Datasette:
    """`datasette serve` on a free port, ready when it says so."""

    def __init__(self, folder: Path) -> None:
        file = folder / "cities.db"
        rows = [(f"Stadt {number} \u00e4\u2028\U0001f600", number * 1000) for number in range(500)]
        connection = sqlite3.connect(file)
        connection.execute("create table cities (id integer primary key, name text, people integer)")
        connection.executemany("insert into cities (name, people) values (?, ?)", rows)
        connection.commit()
        connection.close()
        command = [
            sys.executable,
            "-m",
            "datasette",
            "serve",
            str(file),
            "--port",
            "0",
            "--setting",
            "base_url",
            "/cached/",
        ]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
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
@pytest.mark.parametrize("page", PAGES)
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
