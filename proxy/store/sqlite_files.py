"""The files of the sqlite store: which is in use, its schema, and what becomes of one that is broken.

`path` is a link to the file in use, whose name is never used again. Else a file that is set aside while other processes
have it open would take its successor with it: SQLite's last connection to a file deletes the write-ahead log by name.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from threading import Lock
from urllib.parse import quote

from proxy.clock import Clock
from proxy.errors import SqliteError

SCHEMA_VERSION = 2
"""Grows when the tables or the records in them change: what another version kept is of no use."""
BUSY_S = 0.2
"""How long another process may write before we give up; below the budget that a store has."""

_SET_ASIDE_AFTER_S = 60.0
_LOGS = ("-wal", "-shm")
_OURS = 0x46524E54  # PRAGMA application_id: never empty another program's database
_PAGE_BYTES = 4096
_SLACK_PAGES = 2048  # schema, leases, notes, quarantine, and the pages that are half full
_MOST_TRIES = 5
_CACHE_KIB = 16384  # the upper levels of the tree of a million entries, with room to spare
_LOG_BYTES = 2**24
_LONG_LOG_PAGES = 2**14  # the writing lane merges it far earlier
# These codes say that what is in the file is not what SQLite, or we, wrote; others that it cannot be reached or is full.
_BROKEN = frozenset(
    {
        sqlite3.SQLITE_ERROR,  # no such table
        sqlite3.SQLITE_INTERNAL,
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_CONSTRAINT,
        sqlite3.SQLITE_MISMATCH,
        sqlite3.SQLITE_FORMAT,
        sqlite3.SQLITE_NOTADB,
        sqlite3.SQLITE_IOERR_READ,
        sqlite3.SQLITE_IOERR_SHORT_READ,
    }
)

ENTRIES = (
    """CREATE TABLE entries (id INTEGER PRIMARY KEY, key BLOB NOT NULL, rule TEXT NOT NULL, bytes INTEGER NOT NULL,
        cost REAL NOT NULL, hits INTEGER NOT NULL, rank REAL NOT NULL, record BLOB NOT NULL)""",
    "CREATE INDEX lowest ON entries (rank, bytes)",
    "CREATE TABLE held (rule TEXT PRIMARY KEY, entries INTEGER NOT NULL, bytes INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TRIGGER kept AFTER INSERT ON entries BEGIN
        INSERT INTO held VALUES (new.rule, 1, new.bytes)
            ON CONFLICT (rule) DO UPDATE SET entries = entries + 1, bytes = bytes + excluded.bytes;
    END""",
    """CREATE TRIGGER gone AFTER DELETE ON entries BEGIN
        UPDATE held SET entries = entries - 1, bytes = bytes - old.bytes WHERE rule = old.rule;
    END""",
)
_OTHERS = (
    "CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID",
    "CREATE TABLE quarantine (id INTEGER PRIMARY KEY, key BLOB, record BLOB, since REAL)",
    """CREATE TABLE leases (key BLOB PRIMARY KEY, owner TEXT NOT NULL, token INTEGER NOT NULL, since REAL NOT NULL,
        until REAL NOT NULL) WITHOUT ROWID""",
    """CREATE TABLE notes (name TEXT PRIMARY KEY, note BLOB NOT NULL, since REAL NOT NULL, until REAL NOT NULL)
        WITHOUT ROWID""",
    "CREATE INDEX ends ON notes (until)",
)


class Files:
    """Opens the file in use, and replaces a broken one; for all threads of a process.

    Raises sqlite3.Error, OSError or SqliteError where that cannot be done.
    """

    def __init__(self, path: Path, limit_bytes: int, key_version: str, clock: Clock) -> None:
        self.path = path
        self._most_pages = limit_bytes // _PAGE_BYTES * 5 // 4 + _SLACK_PAGES
        self._versions = {"schema": str(SCHEMA_VERSION), "keys": key_version}
        self._clock = clock
        self._was_open = False
        self._one_thread = Lock()
        self._is_ours = re.compile(re.escape(path.name) + r"\.\d+-[0-9a-f]{8}")

    def in_use(self) -> str:
        """Return the name of the file in use; nothing where there is none yet."""
        try:
            name = os.readlink(self.path)  # noqa: PTH115  at each look-up, and five times as quick
        except OSError:  # absent, or a file that somebody put there
            return ""
        if not self._is_ours.fullmatch(name):
            raise SqliteError(f"{self.path}: a link to another place; name that place instead")
        return name

    def open(self) -> tuple[str, sqlite3.Connection]:
        """Return the name of the file in use and a connection to it; make it where there is none that fits."""
        with self._one_thread:  # else one takes what the other has just begun for another release's
            for _ in range(_MOST_TRIES):
                name = self.in_use()
                if not (name and self._file(name).exists()):
                    self._begin_anew(name)
                elif connection := self._opened(name):
                    self._was_open = True
                    return name, connection
        raise SqliteError(f"{self.path}: no file that fits")

    def _opened(self, name: str) -> sqlite3.Connection | None:
        """Return a connection to this file; replace it, and return none, where it does not fit."""
        connection = None
        try:
            connection = self._connect(name)
            versions = self._versions_of(connection)  # before anything that an empty file would be locked for
            if versions == self._versions:
                self._tune(connection)
                if self.in_use() == name:  # whoever replaces it from now on sees its logs, too
                    return connection
        except BaseException as error:
            if self._is_in_use_once_closed(name, connection) or not isinstance(error, sqlite3.Error):
                raise
            return None
        if not self._is_in_use_once_closed(name, connection):
            return None
        if versions is None:
            self.set_aside(name)
        elif not self._was_open:
            self._begin_anew(name)
        else:  # a newer release's: the two must not go on emptying each other's
            raise SqliteError(f"{self.path}: in use by another release")
        return None

    def _is_in_use_once_closed(self, name: str, connection: sqlite3.Connection | None) -> bool:
        """Close a connection, and tell whether no other process has replaced its file meanwhile."""
        close(connection)
        if self.in_use() == name:
            return True
        for ending in _LOGS:  # SQLite leaves them where the file is gone
            self._file(name + ending).unlink(missing_ok=True)
        return False

    def _connect(self, name: str) -> sqlite3.Connection:
        uri = f"file:{quote(str(self._file(name)))}?mode=rw"
        return sqlite3.connect(uri, uri=True, timeout=BUSY_S, isolation_level=None)

    def _tune(self, connection: sqlite3.Connection) -> None:
        connection.text_factory = partial(
            str, encoding="utf-8", errors="replace"
        )  # noise is no reason to fail for ever
        for pragma in (
            "trusted_schema = OFF",
            "cell_size_check = ON",
            "secure_delete = FAST",
            "journal_mode = WAL",
            "synchronous = NORMAL",  # a power cut may take the last commits with it, a kill does not
            f"cache_size = -{_CACHE_KIB}",
            f"journal_size_limit = {_LOG_BYTES}",
            f"wal_autocheckpoint = {_LONG_LOG_PAGES}",
            f"max_page_count = {self._most_pages}",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    def _versions_of(self, connection: sqlite3.Connection) -> dict[str, str] | None:
        """Return which versions made this file; None where no version of ours did."""
        if connection.execute("PRAGMA application_id").fetchone() != (_OURS,):
            return None
        about = dict(connection.execute("SELECT name, value FROM about"))
        return {name: str(about.get(name)) for name in self._versions}

    def set_aside(self, name: str) -> None:
        """Keep a broken file under another name and begin a new one; at most once a minute."""
        now = self._clock.wall()
        stamps = [float(path.name.rpartition("-")[2]) for path in self._siblings(r"\.broken-\d+")]
        if not any(0 <= now - stamp < _SET_ASIDE_AFTER_S for stamp in stamps):
            self._begin_anew(name, f"{self.path.name}.broken-{int(now)}")

    def _begin_anew(self, instead_of: str, kept_as: str = "") -> None:
        """Let the link lead to an empty file, unless another process did so first."""
        self.path.parent.mkdir(0o700, parents=True, exist_ok=True)
        with self._alone():
            if self.in_use() != instead_of:
                return
            name = f"{self.path.name}.{self._clock.wall() * 1000:.0f}-{os.urandom(4).hex()}"
            if self.path.is_symlink() or not self.path.exists():
                self._make(name)
            else:
                self._adopt(name)
            link = self._file(f"{name}.link")
            link.symlink_to(name)
            link.replace(self.path)
            if kept_as:
                for path in self._siblings(r"\.broken-\d+"):
                    path.unlink()
                self._file(instead_of).rename(self._file(kept_as))
            for path in self._siblings(r"\.\d+-[0-9a-f]{8}(-wal|-shm|\.link)?"):
                if not path.name.startswith(name):
                    path.unlink(missing_ok=True)  # whoever closes the old one last deletes its log, too

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Keep all other threads and processes from replacing files meanwhile."""
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def _make(self, name: str) -> None:
        os.close(os.open(self._file(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))  # -wal and -shm get its mode
        connection = sqlite3.connect(self._file(name), isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous = OFF")  # what a power cut leaves of it is broken, and replaced
            connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise SqliteError(f"{self.path}: no write-ahead log can be kept there")
            connection.execute(f"PRAGMA application_id = {_OURS}")
            connection.execute("BEGIN")
            for statement in (*ENTRIES, *_OTHERS):
                connection.execute(statement)
            # Tokens grow even past a file that was set aside.
            about = {**self._versions, "token": int(self._clock.wall() * 1e6)}
            connection.executemany("INSERT INTO about VALUES (?, ?)", about.items())
            connection.execute("COMMIT")
        finally:
            connection.close()

    def _adopt(self, name: str) -> None:
        """Take what somebody put at our place for a file of ours; open() tells whether it is."""
        with self.path.open("rb") as file:
            begin = file.read(72)
        if begin.startswith(b"SQLite format 3\0") and begin[68:] != _OURS.to_bytes(4, "big"):
            raise SqliteError(f"{self.path}: this is another program's database")
        self.path.chmod(0o600)
        self.path.rename(self._file(name))

    def _file(self, name: str) -> Path:
        return self.path.parent / name

    def _siblings(self, ending: str) -> list[Path]:
        wanted = re.compile(re.escape(self.path.name) + ending)
        return [path for path in self.path.parent.iterdir() if wanted.fullmatch(path.name)]


def is_broken(error: BaseException) -> bool:
    """Tell whether an error means that the file is broken, rather than busy, full or out of reach."""
    if isinstance(error, UnicodeDecodeError):  # of SQLite's own words about a schema that is noise
        return True
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and (code in _BROKEN or code & 0xFF in _BROKEN)


def is_full(error: BaseException) -> bool:
    """Tell whether an error means that the file must not grow, or cannot."""
    return getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}


def is_busy(error: BaseException) -> bool:
    """Tell whether an error means that another process is writing."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def close(connection: sqlite3.Connection | None) -> None:
    """Close a connection, where there is one; a broken file may be no reason to fail."""
    if connection is not None:
        with suppress(sqlite3.Error):
            connection.close()
