"""What is told of an exception."""

import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.core.fault import MOST_CHARS, fault
from proxy.errors import StartError


class Wicked(Exception):
    """One whose text cannot be had."""

    __module__ = "redis.exceptions"

    def __str__(self):
        raise RuntimeError("never")


TOLD = {
    "a system's": (FileNotFoundError(2, "No such file or directory", "/srv/x"), "FileNotFoundError: No such file or directory"),
    "a system's without a number": (TimeoutError(), "TimeoutError"),
    "one that somebody raised like a system": (ConnectionError("card 4111"), "ConnectionError"),
    "a database's": (sqlite3.OperationalError("database is locked"), "OperationalError: database is locked"),
    "one of ours": (StartError("no port"), "StartError: no port"),
    "a parser's": (ValueError("invalid literal for int() with base 10: '4111'"), "ValueError"),
    "a decoder's": (UnicodeDecodeError("utf-8", b'{"password": "\xff"}', 14, 15, "no"), "UnicodeDecodeError"),
    "a lookup's": (KeyError("hunter2"), "KeyError"),
    "one that cannot be told": (Wicked(), "Wicked: <Wicked>"),
}  # fmt: skip


@pytest.mark.parametrize(("error", "told"), TOLD.values(), ids=TOLD)
def test_what_a_client_sent_came_out_in_the_message_of_an_exception(error, told):
    assert fault(error) == told


@given(st.text())
def test_it_is_bounded(said):
    assert len(fault(StartError(said * 100))) <= MOST_CHARS
