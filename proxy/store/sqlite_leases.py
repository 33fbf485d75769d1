"""What processes share beside entries, in SQL: leases with fencing tokens, and the board of notes.

Times are wall-clock seconds, for other processes read them. What was taken later than now is gone too: a clock that
was set back must not make a lease last.
"""

import sqlite3
from collections.abc import Mapping

_LEASE = "SELECT owner, token FROM leases WHERE key = :key AND since <= :now + 1 AND until > :now"
_NOTES = """SELECT name, note FROM notes
    WHERE name >= :prefix AND name < :prefix || char(1114111) AND since <= :now + 1 AND until > :now"""
_SWEEP_EVERY = 64


def lease(connection: sqlite3.Connection, key: bytes, owner: str, now: float, lasts_s: float) -> int | None:
    """Take or renew the lease on a key; return its token, or None where another has it."""
    wanted = {"key": key, "owner": owner, "now": now, "until": now + lasts_s}
    found = connection.execute(_LEASE, wanted).fetchone()
    if found is not None:
        holder, token = found
        if holder != owner:
            return None
        connection.execute("UPDATE leases SET since = :now, until = :until WHERE key = :key", wanted)
        return int(token)
    connection.execute("UPDATE about SET value = value + 1 WHERE name = 'token'")
    (token,) = connection.execute("SELECT value FROM about WHERE name = 'token'").fetchone()
    if token % _SWEEP_EVERY == 0:
        connection.execute("DELETE FROM leases WHERE until <= :now", wanted)
    connection.execute("REPLACE INTO leases VALUES (:key, :owner, :token, :now, :until)", {**wanted, "token": token})
    return int(token)


def release(connection: sqlite3.Connection, key: bytes, owner: str) -> None:
    """Give a lease back; nothing happens where another has it by now."""
    connection.execute("DELETE FROM leases WHERE key = ? AND owner = ?", (key, owner))


def pin(connection: sqlite3.Connection, name: str, note: bytes, now: float, lasts_s: float) -> None:
    """Put a note on the board, in place of the one of this name."""
    connection.execute("DELETE FROM notes WHERE until <= ?", (now,))
    connection.execute("REPLACE INTO notes VALUES (?, ?, ?, ?)", (name, note, now, now + lasts_s))


def notes(connection: sqlite3.Connection, prefix: str, now: float) -> Mapping[str, bytes]:
    """Return the notes whose names begin so."""
    return dict(connection.execute(_NOTES, {"prefix": prefix, "now": now}).fetchall())
