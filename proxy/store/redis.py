"""Entries, leases, notes and messages in a Redis (6 or later) or Valkey that processes and machines share.

All keys of one namespace begin with `frontrunner:{namespace}:`; the braces keep them together where keys are spread over
servers. Nothing here is promised: every entry, lease and note expires, and a server that may evict any key may end a
lease early; its fencing token tells.
"""

import asyncio
import re
import secrets
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from proxy.clock import Clock
from proxy.core.types import Entry
from proxy.errors import StartError
from proxy.store import StoreStatus
from proxy.store.aiocache import Written, lasts_s
from proxy.store.bus import MOST_BYTES
from proxy.store.record import from_record, to_record
from proxy.tasks import Tasks

_MOST_CONNECTIONS = 16
_MOST_WAITING = 1000
_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 5.0
_SILENT_S = 5.0
"""After so long without a message the server is asked whether it is still there."""

# KEYS: those to keep, then those to delete. ARGV: how many to keep; a record and its milliseconds for each. A script and
# not redis-py's pipeline: that one quotes values in its errors, and takes half a second a MiB to do so.
_WRITE = """
local kept = tonumber(ARGV[1])
for i = 1, kept do redis.call('SET', KEYS[i], ARGV[2 * i], 'PX', ARGV[2 * i + 1]) end
for i = kept + 1, #KEYS do redis.call('UNLINK', KEYS[i]) end
"""
# KEYS: the lease, the counter of all tokens. ARGV: owner, milliseconds. A counter that was lost begins again at the
# time in microseconds, which is later than any number it can have reached.
_LEASE = """
local held = redis.call('GET', KEYS[1])
if held then
  local token, owner = string.match(held, '^(%d+):(.*)$')
  if owner ~= ARGV[1] then return false end
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return tonumber(token)
end
if redis.call('EXISTS', KEYS[2]) == 0 then
  local now = redis.call('TIME')
  redis.call('SET', KEYS[2], now[1] .. string.format('%06d', now[2]))
end
local token = redis.call('INCR', KEYS[2])
redis.call('SET', KEYS[1], string.format('%.0f', token) .. ':' .. ARGV[1], 'PX', ARGV[2])
return token
"""
_RELEASE = """
local held = redis.call('GET', KEYS[1])
if held and string.match(held, '^%d+:(.*)$') == ARGV[1] then redis.call('UNLINK', KEYS[1]) end
"""
# The board is one hash, name → end:note by the server's clock: keys of their own could only be found by a walk past
# every entry. KEYS: the board. ARGV: name, note, milliseconds; or the prefix.
_PIN = """
local now = redis.call('TIME')
local ends = now[1] * 1000 + math.floor(now[2] / 1000) + ARGV[3]
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.0f', ends) .. ':' .. ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
"""
_NOTES = """
local now = redis.call('TIME')
local all, found, at = redis.call('HGETALL', KEYS[1]), {}, now[1] * 1000 + math.floor(now[2] / 1000)
for i = 1, #all, 2 do
  local ends, note = string.match(all[i + 1], '^(%d+):(.*)$')
  if tonumber(ends or 0) <= at then
    redis.call('HDEL', KEYS[1], all[i])
  elseif string.sub(all[i], 1, #ARGV[1]) == ARGV[1] then
    found[#found + 1], found[#found + 2] = all[i], note
  end
end
return found
"""


def shown(url: str) -> str:
    """Return a Redis URL as it may be shown: without user, password and options.

    Raises ValueError, which quotes nothing, for one that cannot be used.
    """
    try:
        split = urlsplit(url)
        names = [name for name, _ in parse_qsl(split.query, keep_blank_values=True, strict_parsing=bool(split.query))]
        is_fine = split.scheme in {"redis", "rediss", "unix"} and (split.port or 1) > 0
        is_fine = is_fine and (split.path.startswith("/") if split.scheme == "unix" else bool(split.hostname))
        # what is left of an @ may be a password with a character that ends the host
        is_fine = is_fine and "@" not in split.path + split.query and "#" not in url
        is_fine = is_fine and all(name == "db" or name.startswith("ssl_") for name in names)
    except ValueError:
        is_fine = False
    if not is_fine:
        raise ValueError(
            "a URL such as redis://:password@host:6379/0, rediss://… or unix:///path, special characters of the"
            " password percent-encoded; options: db, ssl_…"
        ) from None
    return f"{split.scheme}://{split.netloc.rpartition('@')[2]}{split.path}"


class Redis:
    """Store, Shared and Wire over one server. Every call has an answer or an OSError within `deadline_s`.

    `status` and `rules` ask nobody: they tell what this process wrote and has not seen go. `limit_bytes` is the most
    it writes; what the server holds is bounded by the server's own `maxmemory`. `listen` needs a running loop.
    """

    def __init__(
        self, url: str, clock: Clock, namespace: str = "", *, limit_bytes: int | None = None, deadline_s: float = 0.25
    ) -> None:
        self._where = shown(url)
        self._deadline_s = deadline_s
        self._client = client = _client(url, deadline_s)
        self._slots = asyncio.Semaphore(_MOST_CONNECTIONS)  # waiting for one is part of the deadline
        self._closed = False
        prefix = f"frontrunner:{{{namespace}}}:".encode()
        self._entries, self._leases = prefix + b"entry:", prefix + b"lease:"
        self._tokens, self._board, self._channel = prefix + b"tokens", prefix + b"board", prefix + b"wire"
        scripts = map(client.register_script, (_WRITE, _LEASE, _RELEASE, _PIN, _NOTES))
        self._write, self._lease, self._release, self._pin, self._notes = scripts
        self._written = Written(clock, limit_bytes)
        self._id = secrets.token_bytes(8)
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)
        self._sender: asyncio.Task[None] | None = None
        self._tasks = Tasks(lambda error: _tell_loop(error, self._where))

    async def _ask(self, call: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        if self._closed:
            raise ConnectionError(f"{self._where}: closed")
        try:
            async with asyncio.timeout(self._deadline_s), self._slots:
                return await call(*arguments)
        except Exception as error:  # noqa: BLE001
            raise _plain(error, self._where) from None

    def _ask_for(self, *command: Any) -> Awaitable[Any]:
        return self._ask(self._client.execute_command, *command)

    async def get_many(self, keys: Sequence[bytes]) -> list[Entry | None]:
        """Return what is stored at each key, in order; None where nothing is, or nothing of ours."""
        if not keys:
            return []
        records = await self._ask_for("MGET", *[self._entries + key for key in keys])
        return [self._entry(key, record) for key, record in zip(keys, records, strict=True)]

    def _entry(self, key: bytes, record: bytes | None) -> Entry | None:
        if record is None:
            self._written.missed(key)
            return None
        return from_record(key, record)

    async def set_many(self, entries: Mapping[bytes, Entry]) -> None:
        """Keep all of these at once, in one round trip, until they are of no use; all or none."""
        if not entries:
            return
        records = {key: to_record(key, entry) for key, entry in entries.items()}
        lasts = {key: lasts_s(entry) for key, entry in entries.items()}
        gone = self._written.add({key: (entries[key].rule, len(records[key]), lasts[key]) for key in entries})
        kept = [key for key in entries if key not in gone]
        parts = [part for key in kept for part in (records[key], _milliseconds(lasts[key]))]
        try:
            if len(kept) == 1 and not gone:
                await self._ask_for("SET", self._entries + kept[0], parts[0], "PX", parts[1])
            else:
                names = [self._entries + key for key in (*kept, *gone)]
                await self._ask(self._write, names, [len(kept), *parts])
        except OSError:
            for key in entries:
                self._written.drop(key)
            raise

    async def touch(self, hits: Mapping[bytes, int]) -> None:
        """Let the server know that these were read: it evicts by its own `maxmemory-policy`."""
        if hits:
            await self._ask_for("TOUCH", *[self._entries + key for key in hits])

    async def delete(self, keys: Sequence[bytes]) -> None:
        """Forget these; absent ones are fine."""
        for key in keys:
            self._written.drop(key)
        if keys:
            await self._ask_for("UNLINK", *[self._entries + key for key in keys])

    async def clear(self) -> None:
        """Forget all entries of this namespace, whoever wrote them; each step has a deadline of its own."""
        self._written.clear()
        pattern = re.sub(rb"([\\*?\[\]^])", rb"\\\1", self._entries) + b"*"
        cursor: Any = 0
        while True:
            cursor, names = await self._ask(self._client.scan, cursor, pattern, 1000)
            if names:
                await self._ask_for("UNLINK", *names)
            if not cursor:
                return

    def status(self) -> StoreStatus:
        """Tell what this process wrote and has not seen go."""
        return self._written.status()

    def rules(self) -> Mapping[str, tuple[int, int]]:
        """Tell how many entries and bytes each rule holds of that."""
        return self._written.rules()

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        """Take or renew the lease on a key; return its fencing token, or None where another has it."""
        names = [self._leases + key, self._tokens]
        token: int | None = await self._ask(self._lease, names, [owner, _milliseconds(lasts_s)])
        return token

    async def release(self, key: bytes, owner: str) -> None:
        """Give a lease back; nothing happens where another has it by now."""
        await self._ask(self._release, [self._leases + key], [owner])

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        """Put a note on the board, in place of the one of this name."""
        await self._ask(self._pin, [self._board], [name, note, _milliseconds(lasts_s)])

    async def notes(self, prefix: str) -> Mapping[str, bytes]:
        """Return the notes whose names begin so."""
        found = await self._ask(self._notes, [self._board], [prefix])
        return {name.decode(errors="replace"): note for name, note in zip(found[::2], found[1::2], strict=True)}

    async def send(self, message: bytes) -> None:
        """Send a message behind this call, or never where the server is away. Raises ValueError for one too long."""
        if len(message) > MOST_BYTES:
            raise ValueError(f"a message of {len(message)} bytes; {MOST_BYTES} are the most")
        self._waiting.append(self._id + message)
        if not self._closed and (self._sender is None or self._sender.done()):
            self._sender = self._tasks.start(self._send_waiting())

    async def _send_waiting(self) -> None:
        while self._waiting:
            try:
                await self._ask_for("PUBLISH", self._channel, self._waiting.popleft())
            except OSError:
                self._waiting.clear()  # each of them would take the whole deadline

    def listen(self, hear: Callable[[bytes], None]) -> None:
        """Hear what others send from now on; what is sent while the server is out of reach is lost."""
        self._tasks.start(self._listen(hear))

    async def _listen(self, hear: Callable[[bytes], None]) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                async with self._client.pubsub() as heard:
                    async with asyncio.timeout(self._deadline_s):
                        await heard.subscribe(self._channel)
                    pause = _FIRST_PAUSE_S
                    await self._hear_all(heard, hear)
            except Exception:  # noqa: BLE001  lost, in any of many ways: the calls of the store tell of it
                await asyncio.sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE_S)

    async def _hear_all(self, heard: Any, hear: Callable[[bytes], None]) -> None:
        is_asked = False
        while True:
            message = await heard.get_message(timeout=self._deadline_s if is_asked else _SILENT_S)
            if message is None:
                if is_asked:
                    return
                await heard.ping()
            elif message["type"] == "message" and not message["data"].startswith(self._id):
                try:
                    hear(message["data"][len(self._id) :])
                except Exception as error:  # noqa: BLE001  the next message is another's
                    _tell_loop(error, self._where)
            is_asked = message is None

    async def close(self) -> None:
        """Be silent and let go of connections; idempotent."""
        self._closed = True
        await self._tasks.close()
        with suppress(Exception):  # it is gone either way
            async with asyncio.timeout(self._deadline_s):
                await self._client.aclose()


def _client(url: str, deadline_s: float) -> Any:
    try:
        import redis.asyncio as redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError as error:
        raise StartError("store.redis needs the package redis: pip install 'frontrunner[redis]'") from error
    try:
        # One retry: a kept connection may have ended meanwhile. RESP2 is what every server and proxy in between speaks.
        return redis.Redis.from_url(
            url, protocol=2, retry=Retry(NoBackoff(), 1), socket_timeout=None, socket_connect_timeout=deadline_s
        )
    except Exception:  # noqa: BLE001
        raise ValueError(f"{shown(url)}: an option has a value that redis-py does not take") from None


def _plain(error: Exception, where: str) -> OSError:
    """Return an error without what a server or redis-py may quote: keys, values, a command."""
    from redis import exceptions

    if isinstance(error, TimeoutError | exceptions.TimeoutError):
        return TimeoutError(f"{where}: no answer in time")
    name = type(error).__name__
    if isinstance(error, OSError | exceptions.ConnectionError):
        return ConnectionError(f"{where}: {name}")
    code = re.match(r"[A-Z]+\b", str(error))
    return OSError(f"{where}: {name} {code[0] if code else ''}".rstrip())


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _tell_loop(error: BaseException, where: str) -> None:
    asyncio.get_running_loop().call_exception_handler({"message": f"{where}: hearing failed", "exception": error})
