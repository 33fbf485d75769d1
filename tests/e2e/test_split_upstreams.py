"""Genuine services – Datasette, strawberry, pjrpc – say the same through us, part by part, as they do themselves.

Each is asked a few hundred random questions for many things, straight and through the proxy: both answers are the same
bytes, most of ours are made of parts that were known, and of the others none was put together wrongly.
"""

import json
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from running import Line, Proxy
from test_datasette import Datasette
from wire import Client, asked

Question = tuple[bytes, bytes | None]
"""A target and a body."""

ON = {"split": {"mode": "on", "audit": 0}}
JSON = b"Content-Type: application/json"


def city(dice: Random, most: int = 120) -> int:
    """Return a number; small ones come more often."""
    return int(most * dice.random() ** 2)


def cities(dice: Random, most: int = 12, **more: int) -> list[int]:
    """Return at least two different numbers."""
    return [*dict.fromkeys(city(dice, **more) for _ in range(dice.randint(4, most))), 200 + dice.randrange(20)]


@dataclass
class Counted:
    """What became of the questions: outcomes, parts and those that were known; why some went whole."""

    asked: int = 0
    parts: int = 0
    hits: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    whole: Counter[str] = field(default_factory=Counter)


async def both_ways(
    straight: int, front: Proxy, question: Callable[[Random], Question], number: int, seed: int = 1
) -> Counted:
    """Ask everything both ways; the answers must be equal."""
    dice, counted, before = Random(seed), Counted(), len(front.found(event="request"))
    async with await Client.to(straight) as one, await Client.to(front.port) as two:
        for _ in range(number):
            target, body = question(dice)
            method, fields = (b"GET", ()) if body is None else (b"POST", (JSON,))
            request = asked(method, target, *fields, body=body)
            direct, through = await one.ask(request), await two.ask(request)
            assert direct.status == 200, direct
            kind = b"content-type"
            assert (through.status, through.body) == (200, direct.body), (target, body)
            assert through.value(kind) == direct.value(kind)
    for line in (await front.lines(before + number, event="request"))[before:]:
        count(counted, line)
    return counted


def count(counted: Counted, line: Line) -> None:
    counted.asked += 1
    counted.outcomes[line["outcome"]] += 1
    if line["arm"] == "candidate":
        counted.parts += line["parts"]
        counted.hits += line["parts_hit"]
    else:
        counted.whole[line.get("reason", "")] += 1


def check(counted: Counted, *, fallbacks: int = 0, known: float = 0.5) -> None:
    """Check that most questions were answered from known parts at least in part, and how many went whole."""
    assert sum(counted.whole.values()) <= fallbacks, counted
    assert counted.outcomes["partial"] + counted.outcomes["hit"] > 0.8 * counted.asked, counted
    assert counted.hits > known * counted.parts, counted


@contextmanager
def running(port: int, folder: Path, *rules: Line) -> Iterator[Proxy]:
    """Run the proxy in front of a service on this port."""
    proxy = Proxy({"upstream": {"url": f"http://127.0.0.1:{port}"}, "rules": list(rules)}, folder).start()
    try:
        yield proxy
    finally:
        proxy.stop()


@contextmanager
def upstream(name: str) -> Iterator[int]:
    """Run the service of this name, and give its port."""
    command = [sys.executable, str(Path(__file__).with_name(f"{name}_upstream.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = process.stdout.readline()
        if not first:
            raise AssertionError(process.stderr.read())
        try:
            yield int(first)
        finally:
            process.terminate()


# Datasette

LISTED = {
    "by": {"query_list": {"name": "id__in", "deny_params": ["_size", "_next", "_sort*", "_nocol"]}},
    "when": {"max_parts": 90},
}
BY_ID = {"keyed": {"missing": "omit", "duplicates": "once", "order": "number_up"}}
BY_MEMBER = {"dict_union": {"missing": "omit", "order": "number_up"}}
BY_CITY = {"concat": {"by": "$.city", "order": "number_up"}}
TABLES: list[Line] = [
    {
        "name": "rows",
        "match": {"path": "/cached/cities/cities.json"},
        "key": ["sort_params"],
        "split": {**LISTED, "merge": BY_ID, "residual": {"chunks": 3}, "max_parallel": 2},
    },
    {
        "name": "members",
        "match": {"path": "/cached/frozen/cities.json"},
        "split": {**LISTED, "merge": BY_MEMBER, "residual": "each", "max_parallel": 4},
    },
    {
        "name": "visits",
        "match": {"path": "/cached/cities/visits.json"},
        "split": {"by": {"query_list": {"name": "city__in", "deny_params": ["_size"]}}, "merge": BY_CITY},
    },
]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Datasette, Proxy]]:
    """Return Datasette with a table of visits to cities, some to none, and the proxy in front of it."""
    datasette = Datasette(tmp_path_factory.mktemp("datasette"))
    with sqlite3.connect(datasette.file) as connection:
        connection.execute("create table visits (id integer primary key, city integer, note text, price real)")
        dice = Random(7)
        visits = [(dice.randrange(100), f"Besuch {number} \u00e4\u2028", number / 7) for number in range(300)]
        connection.executemany("insert into visits (city, note, price) values (?, ?, ?)", visits)
    connection.close()
    rules = [{**rule, "ttl": "1h", "override": ["max-age"], "rollout": ON} for rule in TABLES]
    with running(datasette.port, tmp_path_factory.mktemp("proxy"), *rules) as proxy:
        yield datasette, proxy
    datasette.stop()


def rows(dice: Random) -> Question:
    """Ask for rows by their numbers: some twice, some that are not there."""
    ids = cities(dice) + ([] if dice.random() < 0.7 else [700 + dice.randrange(5)])
    ids += ids[:1] * (dice.random() < 0.2)
    return b"/cached/cities/cities.json?_shape=array&id__in=" + b",".join(b"%d" % one for one in ids), None


def members(dice: Random) -> Question:
    return b"/cached/frozen/cities.json?id__in=%b&_shape=object" % b",".join(b"%d" % one for one in cities(dice)), None


def visits(dice: Random) -> Question:
    of = b"%2C".join(b"%d" % one for one in cities(dice, most=8))
    return b"/cached/cities/visits.json?city__in=" + of + b"&_sort=city&_shape=array", None


@pytest.mark.parametrize("question", [rows, members, visits])
async def test_rows_of_datasette(question: Callable[[Random], Question], tables: tuple[Datasette, Proxy]) -> None:
    datasette, proxy = tables
    check(await both_ways(datasette.port, proxy, question, 250))


# GraphQL

NAMES = ("one", "two", "three", "four", "five")
GRAPHQL: Line = {
    "name": "graphql",
    "match": {"method": "POST", "path": "/graphql"},
    "safe": True,
    "key": ["graphql"],
    "ttl": "1h",
    "split": {"by": "graphql_roots", "merge": "graphql", "residual": {"chunks": 2}, "max_parallel": 3},
    "rollout": ON,
}
FIELDS = ("{ id name }", "{ ...parts }", "{ name country { code area } }", "{ shouted(times: $times) id }")


def roots(dice: Random) -> Question:
    """Ask for some fields at the root, with aliases, variables and fragments."""
    names = dice.sample(NAMES, dice.randint(2, 5))
    asks, used = [], ""
    for name in names:
        of = dice.choice(FIELDS)
        used += of
        number = city(dice, 12)
        root = f"city(id: {number})" if dice.random() < 0.7 else f"cities(start: {number}, most: {dice.randint(0, 2)})"
        asks.append(f"{name}: {root} {of}")
    head = "query ($times: Int!) " if "$times" in used else "query "
    query = f"{head}{{ {' '.join(asks)} }}"
    if "...parts" in used:
        query += " fragment parts on City { people id }"
    body: dict[str, Any] = {"query": query} | ({"variables": {"times": dice.randint(1, 2)}} if "$times" in used else {})
    return b"/graphql", json.dumps(body).encode()


async def test_root_fields_of_strawberry(tmp_path: Path) -> None:
    with upstream("strawberry") as port, running(port, tmp_path, GRAPHQL) as proxy:
        check(await both_ways(port, proxy, roots, 300))


# JSON-RPC

RPC: Line = {
    "name": "rpc",
    "match": {"method": "POST", "path": "/rpc"},
    "safe": True,
    "key": ["json"],
    "ttl": "1h",
    "split": {"by": {"jsonrpc": {"allow_methods": ["city.*"]}}, "merge": "jsonrpc", "max_parallel": 3},
    "rollout": ON,
}


def batch(dice: Random) -> Question:
    """Make some calls in one batch, some of which fail; their ids are new each time."""
    calls = []
    for number in cities(dice, most=9):
        name = dice.choice(["city.get", "city.get", "city.near"])
        mark: Any = dice.randrange(10**9) if dice.random() < 0.7 else f"call-{dice.randrange(10**9)}"
        given: Any = [number] if dice.random() < 0.9 else {"number": number}
        calls.append({"jsonrpc": "2.0", "method": name, "params": given, "id": mark})
    return b"/rpc", json.dumps(calls).encode()


async def test_batches_of_pjrpc(tmp_path: Path) -> None:
    with upstream("pjrpc") as port, running(port, tmp_path, RPC) as proxy:
        check(await both_ways(port, proxy, batch, 300))
