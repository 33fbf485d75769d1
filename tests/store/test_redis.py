"""Redis and Valkey: what the contract suite does not ask of them – faults, expiry, secrets, leases, the wire, TLS."""

# ruff: noqa: F401, F811  fixtures are imported, and then names of arguments

import asyncio
import gc
import logging
import ssl
import subprocess
import sys
import traceback
from contextlib import asynccontextmanager
from dataclasses import replace
from urllib.parse import quote

import pytest
from fakes import PATIENCE, FakeClock
from redis_server import PROGRAMS, Server, own_server, redis_server, running, valkey_server

from proxy.clock import SystemClock
from proxy.core.types import Entry
from proxy.errors import StartError
from proxy.store import Shared, StoreStatus
from proxy.store import redis as module
from proxy.store.record import to_record
from proxy.store.redis import MOST_BYTES, Redis, shown

SECRET = "what-no-log-may-hold"
ENTRY = Entry(200, ((b"set-token", SECRET.encode()),), SECRET.encode() * 50, 1e9, ttl=100.0, rule="r")
KEY, OTHER = b"k" * 20, b"o" * 20


@pytest.fixture(params=["redis", "valkey"])
def server(request) -> Server:
    """Return each kind of server, left running."""
    return request.getfixturevalue(f"{request.param}_server")


@pytest.fixture
async def opening():
    """Return how to open a store at a server or URL; all are closed at the end."""
    opened: list[Redis] = []

    def to(where: Server | str, namespace: str = "n", **more) -> Redis:
        more.setdefault("deadline_s", 5.0)
        url = where if isinstance(where, str) else where.url
        opened.append(Redis(url, more.pop("clock", SystemClock()), namespace, **more))
        return opened[-1]

    yield to
    for store in opened:
        await store.close()


async def times_out(call) -> float:
    """Make a call that must time out, and return how long it took."""
    began = asyncio.get_running_loop().time()
    with pytest.raises(TimeoutError, match="no answer in time"):
        await call
    return asyncio.get_running_loop().time() - began


def secrets_in(error: BaseException, caplog) -> bool:
    return SECRET in "".join(traceback.format_exception(error)) + caplog.text + repr(error)


# Entries


@pytest.mark.parametrize(
    ("entry", "expected_s"),
    [
        (ENTRY, 160),
        (replace(ENTRY, refresh=10.0, error=1000.0), 1160),
        (replace(ENTRY, ttl=-5.0), 60),
        (replace(ENTRY, ttl=0.0, headers=((b"etag", b'"1"'),)), 86_400),
        (replace(ENTRY, ttl=1e12), 30 * 86_400),
    ],
)
async def test_an_entry_expires_when_it_is_of_no_use_any_more(server, opening, entry, expected_s):
    url, namespace = server.place()
    store = opening(url, namespace)
    await store.set_many({KEY: entry})
    await store.set_many({OTHER: entry, b"third" * 4: entry})
    for key in (KEY, OTHER):
        left = await server.says("PTTL", f"frontrunner:{{{namespace}}}:entry:{key.decode()}")
        assert expected_s - 10 < int(left.strip(":\r\n")) / 1000 <= expected_s


async def test_clear_takes_what_is_its_namespaces_and_nothing_else(server, opening):
    _, unused = server.place()
    names = (f"{unused}*", f"{unused}ab", f"{unused}[x]?\\", f"{unused}x")
    stores = [opening(server, name) for name in names]
    for store in stores:
        await store.set_many({b"%020d" % number: ENTRY for number in range(1500)})
    await server.says("SET", unused, "not ours")
    for number, store in enumerate(stores):
        await store.clear()
        found = [(await one.get_many([KEY, b"%020d" % 7]))[1] is not None for one in stores]
        assert found == [at > number for at in range(len(stores))]
    assert "not ours" in await server.says("GET", unused)


async def test_what_another_process_wrote_is_cleared_too_but_not_counted(server, opening):
    url, namespace = server.place()
    one, other = opening(url, namespace), opening(url, namespace)
    await one.set_many({KEY: ENTRY})
    assert (one.status().entries, other.status().entries) == (1, 0)
    await other.clear()
    assert await one.get_many([KEY]) == [None]
    assert one.status() == StoreStatus(0, 0, 0, 1)


@pytest.mark.parametrize("record", [b"", b"\x80\x05K*.", to_record(OTHER, ENTRY), to_record(KEY, ENTRY)[:-1]])
async def test_what_is_no_record_of_ours_for_this_key_is_a_miss(server, opening, record):
    url, namespace = server.place()
    await server.says("SET", f"frontrunner:{{{namespace}}}:entry:{KEY.decode()}", record)
    await server.says("LPUSH", f"frontrunner:{{{namespace}}}:entry:{OTHER.decode()}", "a list")
    assert await opening(url, namespace).get_many([KEY, OTHER]) == [None, None]


async def test_entries_of_megabytes_and_many_at_once(server, opening):
    store = opening(*server.place(), deadline_s=30.0)
    large = replace(ENTRY, body=b"\r\n$5\r\n" * 2**20)
    await store.set_many({KEY: large, OTHER: ENTRY})
    assert await store.get_many([KEY, OTHER]) == [large, ENTRY]


async def test_many_calls_at_once_share_few_connections(server, opening):
    store = opening(*server.place())
    await store.set_many({b"%020d" % number: replace(ENTRY, status=number) for number in range(200)})
    before = (await server.says("CLIENT", "LIST")).count("id=")
    found = await asyncio.gather(*[store.get_many([b"%020d" % number]) for number in range(200)])
    assert [entry.status for (entry,) in found] == list(range(200))
    assert (await server.says("CLIENT", "LIST")).count("id=") - before <= 16


# Faults


async def test_a_server_that_says_nothing_costs_the_deadline_and_mixes_no_answers(own_server, opening):
    store = opening(own_server, deadline_s=0.1)
    keys = [b"%020d" % number for number in range(40)]
    await store.set_many({key: replace(ENTRY, status=number) for number, key in enumerate(keys)})
    own_server.pause()
    took = await asyncio.gather(*[times_out(store.get_many([key])) for key in keys for _ in range(5)])
    assert max(took) < 2.0
    for call in (store.set_many({KEY: ENTRY}), store.delete([KEY]), store.lease(KEY, "me", 1.0), store.clear()):
        assert await times_out(call) < 2.0
    own_server.resume()
    store._deadline_s = PATIENCE
    found = await asyncio.gather(*[store.get_many([key]) for key in keys])
    assert [entry.status for (entry,) in found] == list(range(40))
    pool = store._client.connection_pool
    assert len(pool._in_use_connections) == 0


async def test_callers_who_leave_mix_no_answers_and_take_no_connection_along(server, opening):
    store = opening(*server.place())
    keys = [b"%020d" % number for number in range(20)]
    await store.set_many({key: replace(ENTRY, status=number) for number, key in enumerate(keys)})
    for turn in range(60):
        calls = [asyncio.create_task(store.get_many([key])) for key in keys]
        for _ in range(turn % 12):
            await asyncio.sleep(0)
        for call in calls[::2]:
            call.cancel()
        done = await asyncio.gather(*calls, return_exceptions=True)
        for number, one in enumerate(done):
            assert isinstance(one, asyncio.CancelledError) or one[0].status == number
    assert len(store._client.connection_pool._in_use_connections) == 0
    assert store._slots._value == 16


async def test_a_server_that_is_gone_is_told_at_once_and_found_again(own_server, opening):
    store = opening(own_server)
    await store.set_many({KEY: ENTRY})
    own_server.stop()
    for call in (store.get_many([KEY]), store.set_many({KEY: ENTRY}), store.delete([KEY]), store.notes("")):
        with pytest.raises(ConnectionError, match=r"^redis://127\.0\.0\.1:"):
            await call
    assert store.status().entries == 0
    own_server.start()
    await store.set_many({KEY: ENTRY})
    own_server.stop()
    own_server.start()
    assert await store.get_many([KEY]) == [None]  # over a connection that ended meanwhile, at the first try


async def test_a_full_server_refuses_writes_and_still_answers(own_server, opening, caplog):
    caplog.set_level(logging.DEBUG)
    store = opening(own_server)
    await store.set_many({KEY: ENTRY})
    await own_server.says("CONFIG", "SET", "maxmemory-policy", "noeviction")
    await own_server.says("CONFIG", "SET", "maxmemory", "1")
    for entries in ({OTHER: ENTRY}, {OTHER: ENTRY, b"third" * 4: ENTRY}):
        with pytest.raises(OSError, match=r"OutOfMemoryError|ResponseError") as caught:
            await store.set_many(entries)
        assert not secrets_in(caught.value, caplog)
        assert await store.get_many(list(entries)) == [None] * len(entries)
    with pytest.raises(OSError):
        await store.lease(KEY, "me", 1.0)
    assert await store.get_many([KEY]) == [ENTRY]
    assert store.status().entries == 1
    await store.delete([KEY])
    await own_server.says("CONFIG", "SET", "maxmemory", "0")
    await store.set_many({OTHER: ENTRY})
    assert await store.get_many([KEY, OTHER]) == [None, ENTRY]


async def test_what_the_server_evicted_is_counted_once_it_is_missed(own_server, opening):
    store = opening(own_server)
    await store.set_many({KEY: ENTRY, OTHER: ENTRY})
    await own_server.says("FLUSHALL")
    assert store.status().entries == 2
    await store.get_many([KEY, OTHER, b"third" * 4])
    assert store.status() == StoreStatus(0, 0, 0, 2)


async def test_scripts_that_a_server_forgot_are_sent_again(own_server, opening):
    store = opening(own_server)
    first = await store.lease(KEY, "me", 10.0)
    await own_server.says("SCRIPT", "FLUSH")
    assert await store.lease(KEY, "me", 10.0) == first
    await own_server.says("SCRIPT", "FLUSH")
    await store.set_many({KEY: ENTRY, OTHER: ENTRY})
    assert await store.get_many([KEY, OTHER]) == [ENTRY, ENTRY]


async def test_after_close_nothing_is_opened_again(server, opening):
    store = opening(*server.place())
    await store.get_many([KEY])
    await store.close()
    with pytest.raises(ConnectionError, match="closed"):
        await store.get_many([KEY])
    await store.send(b"to nobody")
    gc.collect()  # would tell of connections left open


# Leases and notes


async def test_tokens_grow_over_keys_owners_and_a_server_that_forgot_everything(own_server, opening):
    one, other = opening(own_server), opening(own_server)
    tokens = [await one.lease(KEY, "one", 10.0), await other.lease(OTHER, "other", 10.0)]
    await one.release(KEY, "one")
    tokens.append(await other.lease(KEY, "other", 10.0))
    await own_server.says("FLUSHALL")
    tokens.append(await one.lease(KEY, "one", 10.0))
    own_server.stop()
    own_server.start()
    tokens.append(await other.lease(KEY, "other", 10.0))
    assert tokens == sorted(set(tokens))
    assert isinstance(one, Shared)


@pytest.mark.parametrize("owner", ["", "1:2", "ü\n", "a%d+"])
async def test_an_owner_may_have_any_name(server, opening, owner):
    url, namespace = server.place()
    one, other = opening(url, namespace), opening(url, namespace)
    token = await one.lease(KEY, owner, 10.0)
    assert await one.lease(KEY, owner, 10.0) == token
    assert await other.lease(KEY, owner + "x", 10.0) is None
    await other.release(KEY, owner + "x")
    assert await other.lease(KEY, "other", 10.0) is None
    await other.release(KEY, owner)
    assert await other.lease(KEY, "other", 10.0) == token + 1


async def test_leases_and_notes_of_namespaces_are_apart(server, opening):
    one, other = opening(*server.place()), opening(*server.place())
    assert await one.lease(KEY, "one", 10.0)
    assert await other.lease(KEY, "other", 10.0)
    await one.pin("name", b"note", 10.0)
    assert await other.notes("") == {}


async def test_notes_that_are_over_leave_nothing_behind(server, opening):
    url, namespace = server.place()
    store = opening(url, namespace)
    await store.pin("lasting", b"note", 10.0)
    for number in range(100):
        await store.pin(f"short {number}", b"x", 0.001)
    async with asyncio.timeout(PATIENCE):
        while len(await store.notes("")) > 1:
            pass
    assert ":1\r\n" in await server.says("HLEN", f"frontrunner:{{{namespace}}}:board")


async def test_a_board_and_a_lease_that_somebody_scribbled_on_break_nothing(server, opening):
    url, namespace = server.place()
    store, prefix = opening(url, namespace), f"frontrunner:{{{namespace}}}:"
    await store.pin("name", b"note", 10.0)
    await server.says("HSET", prefix + "board", b"\xff", "scribble", "other", "soon:x", "lasting", "99999999999999:x")
    assert await store.notes("") == {"name": b"note", "lasting": b"x"}
    await server.says("SET", prefix + "lease:" + KEY.decode(), "scribble", "PX", "50")
    await store.release(KEY, "me")
    async with asyncio.timeout(PATIENCE):
        while await store.lease(KEY, "me", 10.0) is None:
            pass


# The wire


def hears(store: Redis) -> list[bytes]:
    """Let a store listen, and return where what it hears will be."""
    heard: list[bytes] = []
    store.listen(heard.append)
    return heard


async def arrives(sender: Redis, message: bytes, *ears: list[bytes]) -> None:
    """Send until all have heard: what is sent before somebody is subscribed is lost."""
    async with asyncio.timeout(PATIENCE):
        while not all(message in ear for ear in ears):
            await sender.send(message)
            await asyncio.sleep(0.001)


async def test_the_others_hear_within_a_tenth_of_a_second_and_oneself_does_not(server, opening):
    url, namespace = server.place()
    one, other, third = (opening(url, namespace) for _ in range(3))
    ears = [hears(store) for store in (one, other, third)]
    await arrives(third, b"ready", *ears[:2])
    await arrives(other, b"ready", ears[2])
    sent = [b"%d" % number for number in range(300)]
    took = []
    for message in sent:
        began = asyncio.get_running_loop().time()
        await one.send(message)
        while not all(message in ear for ear in ears[1:]):
            await asyncio.sleep(0)
        took.append(asyncio.get_running_loop().time() - began)
    assert sorted(took)[len(took) // 2] < 0.1
    assert [[message for message in ear if message != b"ready"] for ear in ears] == [[], sent, sent]


async def test_a_burst_arrives_in_order(server, opening):
    url, namespace = server.place()
    one, other = opening(url, namespace), opening(url, namespace)
    ear = hears(other)
    await arrives(one, b"ready", ear)  # all of one sender's come in order: none of these comes later
    sent = [b"%d" % number for number in range(900)]
    for message in sent:
        await one.send(message)
    async with asyncio.timeout(PATIENCE):
        while sent[-1] not in ear:
            await asyncio.sleep(0.001)
    assert ear[-900:] == sent


async def test_a_message_is_at_most_4_kib_of_any_bytes(server, opening):
    url, namespace = server.place()
    one, other = opening(url, namespace), opening(url, namespace)
    ear = hears(other)
    await arrives(one, bytes(range(256)) * 16, ear)
    await arrives(one, b"", ear)
    with pytest.raises(ValueError, match="4097 bytes"):
        await one.send(b"x" * (MOST_BYTES + 1))


async def test_what_a_listener_raises_is_told_to_the_loop_and_costs_no_message(server, opening):
    told, heard = [], []

    def hear(message: bytes) -> None:
        heard.append(message)
        raise RuntimeError("a listener's bug")

    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(str(context["exception"])))
    url, namespace = server.place()
    one, other = opening(url, namespace), opening(url, namespace)
    other.listen(hear)
    await arrives(one, b"1", heard)
    await arrives(one, b"2", heard)
    assert set(told) == {"a listener's bug"}


async def test_without_a_server_sending_neither_waits_nor_raises_and_hearing_comes_back(own_server, opening):
    one, other = opening(own_server), opening(own_server)
    ear = hears(other)
    await arrives(one, b"before", ear)
    own_server.stop()
    for _ in range(2000):
        await one.send(b"lost")
    await one._sender
    own_server.start()
    await arrives(one, b"after", ear)
    assert b"lost" not in ear


async def test_a_paused_server_delays_messages_and_blocks_nobody(own_server, opening):
    one, other = opening(own_server, deadline_s=0.05), opening(own_server)
    ear = hears(other)
    await arrives(one, b"before", ear)
    own_server.pause()
    began = asyncio.get_running_loop().time()
    for _ in range(100):
        await one.send(b"may be lost")
    assert asyncio.get_running_loop().time() - began < 0.05
    await one._sender  # it has given up
    assert not one._waiting
    own_server.resume()
    await arrives(one, b"after", ear)


# What is between us and the server


@asynccontextmanager
async def relay(server: Server, tls: ssl.SSLContext | None = None):
    """Stand between, on a port of its own; `silenced` makes the connections that there are say nothing more."""
    writers, silent = [], set()

    async def copy(reader, writer, pair) -> None:
        try:
            while received := await reader.read(2**16):
                if pair not in silent:
                    writer.write(received)
        except OSError:
            pass
        writer.close()

    async def connected(reader, writer) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)
        pair = len(writers)
        writers.extend([writer, up_writer])
        await asyncio.gather(copy(reader, up_writer, pair), copy(up_reader, writer, pair))

    listening = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1], lambda: silent.update(range(len(writers)))
    finally:
        listening.close()
        for writer in writers:
            writer.close()
        await asyncio.sleep(0.01)


async def test_a_subscription_that_went_silent_is_noticed_and_made_anew(redis_server, opening, monkeypatch):
    monkeypatch.setattr(module, "_SILENT_S", 0.05)
    _, namespace = redis_server.place()
    one = opening(redis_server, namespace)
    async with relay(redis_server) as (port, silence):
        other = opening(f"redis://127.0.0.1:{port}", namespace, deadline_s=0.2)
        ear = hears(other)
        await arrives(one, b"before", ear)
        silence()
        await arrives(one, b"after", ear)
        await other.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> str:
    """Return a file with a key and a certificate of its own for 127.0.0.1."""
    folder = tmp_path_factory.mktemp("tls")
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", folder / "both",
         "-out", folder / "public"], capture_output=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    (folder / "both").write_bytes((folder / "both").read_bytes() + (folder / "public").read_bytes())
    return str(folder)


async def test_rediss_speaks_tls_and_trusts_only_whom_it_is_told_to(redis_server, opening, certificate):
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(f"{certificate}/both")
    _, namespace = redis_server.place()
    async with relay(redis_server, tls) as (port, _):
        store = opening(f"rediss://127.0.0.1:{port}?ssl_ca_certs={quote(certificate)}/public", namespace)
        await store.set_many({KEY: ENTRY})
        assert await store.get_many([KEY]) == [ENTRY]
        ear = hears(store)
        await arrives(opening(redis_server, namespace), b"hello", ear)
        await store.close()
        with pytest.raises(ConnectionError, match=r"^rediss://127\.0\.0\.1:"):
            await opening(f"rediss://127.0.0.1:{port}").get_many([KEY])


# Secrets and what may be configured


@pytest.fixture
def locked_server(tmp_path):
    yield from running(next(iter(PROGRAMS), "redis"), tmp_path, "--requirepass", f"{SECRET} /:@")


async def test_a_password_opens_the_server_and_is_shown_nowhere(locked_server, opening, caplog):
    caplog.set_level(logging.DEBUG)
    rest = f"127.0.0.1:{locked_server.port}/0"
    password = quote(f"{SECRET} /:@", safe="")
    store = opening(f"redis://:{password}@{rest}")
    await store.set_many({KEY: ENTRY})
    assert await store.get_many([KEY]) == [ENTRY]
    locked_server.stop()
    with pytest.raises(ConnectionError) as gone:
        await store.get_many([KEY])
    assert str(gone.value) == f"redis://{rest}: ConnectionError"
    locked_server.start()
    for url in (f"redis://:{password}x@{rest}", f"redis://someone:{password}@{rest}", f"redis://{rest}"):
        with pytest.raises(OSError, match=rf"^redis://{rest}: \w+$") as refused:
            await opening(url).get_many([KEY])
        assert not secrets_in(refused.value, caplog)
    assert SECRET not in repr(store) + str(store)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("redis://cache:6379/0", "redis://cache:6379/0"),
        ("redis://cache", "redis://cache"),
        ("rediss://user:secret@cache:6380/1?ssl_ca_certs=/etc/ca.pem", "rediss://cache:6380/1"),
        ("redis://:se%2Fcr%40et@[::1]:6379", "redis://[::1]:6379"),
        ("unix:///run/redis.sock?db=2", "unix:///run/redis.sock"),
        ("unix://user:secret@/run/redis.sock", "unix:///run/redis.sock"),
    ],
)
def test_a_url_is_shown_without_what_is_secret(url, expected):
    assert shown(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://secret@cache", "cache:6379", "", "redis://", "redis://:secret@", "redis://:sec/secret@cache",
        "redis://:sec#secret@cache", "redis://:sec?secret@cache", "redis://:12?secret@cache", "redis://user:12/secret@cache",
        "redis://:secret@cache:port", "redis://:secret@cache:99999", "redis://cache?password=secret",
        "redis://cache?password=s@secret", "redis://cache?decode_responses=secret", "redis://:[secret@cache",
        "redis://cache:6379/0?db", "redis://cache#secret", "unix:relative@secret",
    ],
)  # fmt: skip
def test_a_url_that_cannot_be_used_is_not_quoted(url):
    with pytest.raises(ValueError, match="percent-encoded") as caught:
        Redis(url, FakeClock())
    assert "secret" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", ["redis://:secret@cache?db=secret"])
def test_an_option_that_redis_py_does_not_take_is_not_quoted(url):
    with pytest.raises(ValueError, match="redis://cache: an option") as caught:
        Redis(url, FakeClock())
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(StartError, match=r"pip install 'frontrunner\[redis\]'"):
        Redis("redis://cache", FakeClock())


def test_the_package_is_loaded_only_when_used():
    code = "import sys, proxy.store.redis; assert not [name for name in sys.modules if name.split('.')[0] == 'redis']"
    subprocess.run([sys.executable, "-c", code], check=True)
