"""What tests of the sqlite store use: open one for a while, look into its file, run another process on it."""

import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeClock

from proxy.store.sqlite import Sqlite

LIMIT = 2**24
CHILD = Path(__file__).parent / "sqlite_child.py"


@asynccontextmanager
async def opened(path: Path, limit: int = LIMIT, clock: FakeClock | None = None, **more: Any) -> AsyncIterator[Sqlite]:
    store = Sqlite(path, limit, clock or FakeClock(), **more)
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(name="path")
def store_path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "store.sqlite"


def sql(path: Path, statement: str, *given: object) -> list[tuple]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement, given).fetchall()


def named(path: Path, ending: str) -> list[Path]:
    return sorted(path.parent.glob(path.name + ending))


def child(what: str, path: Path, *given: object, **more: object) -> subprocess.Popen[str]:
    """Start another process that does this with the store at `path`."""
    command = [sys.executable, str(CHILD), what, str(path), *map(str, given)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ), **more
    )


def said(running: subprocess.Popen[str]) -> list[str]:
    """Wait until it has ended well and return what it said."""
    out, errors = running.communicate(timeout=60)
    assert (running.returncode, errors) == (0, "")
    return out.splitlines()
