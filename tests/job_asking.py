"""What the tests of jobs share: wishes, and how their makers ask for them."""

import json
from typing import Any

from fakes import FakeDelivery, until
from world import World, asked

from proxy.core.types import Response

ASYNC, NOW = (b"prefer", b"respond-async"), (b"prefer", b"wait=0")
LONG = (b"prefer", b"respond-async, wait=1000")


def url_of(got: FakeDelivery) -> str:
    """Return where the answer will be, whichever way it was told."""
    where = got.header(b"location")
    return json.loads(got.body)["job"] if where is None else where.decode()


async def read(here: World, url: str, *fields: tuple[bytes, bytes], method: str = "GET") -> Response:
    return await here.jobs.answer(asked(url, *fields, method=method), url.rpartition("/")[2])


async def ended(here: World, jobs: int = 1) -> None:
    await until(lambda: len(here.ended) == jobs)


async def told(here: World, url: str) -> Any:
    return json.loads((await read(here, url)).body)
