"""How our server writes answers and ends connections: any status, exact framing, an end that tells the truth."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from fakes import until
from server_stage import Stage, Turn, answer, staged
from wire import Client, asked, chunk


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    async with staged() as stage:
        yield stage


@pytest.mark.parametrize("status", [200, 204, 206, 301, 304, 404, 418, 451, 500, 511, 599, 600, 999])
async def test_any_status(status: int, stage: Stage) -> None:
    """Also one without a phrase; 204 and 304 have no body, and the connection serves on."""

    async def say(turn: Turn) -> None:
        await turn.head(status, *([] if status == 204 else [(b"content-length", b"0")]))
        await turn.send(more=False)

    stage.story = say
    async with await Client.to(stage.port) as client:
        answers = [await client.ask(asked(b"GET", b"/")) for _ in range(2)]
    assert [one.status for one in answers] == [status, status]
    assert not answers[0].values(b"transfer-encoding")


@pytest.mark.parametrize(("method", "status"), [(b"GET", 304), (b"HEAD", 200), (b"HEAD", 404)])
async def test_a_length_without_a_body(method: bytes, status: int, stage: Stage) -> None:
    """A 304 and an answer to HEAD keep the Content-Length of the answer that they stand for."""

    async def say(turn: Turn) -> None:
        await turn.head(status, (b"content-length", b"1000"), (b"etag", b'"e"'))
        await turn.send(b"" if status == 304 else b"x" * 1000, more=False)

    stage.story = say
    async with await Client.to(stage.port) as client:
        for _ in range(2):
            one = await client.ask(asked(method, b"/"))
            assert (one.status, one.value(b"content-length"), one.body) == (status, b"1000", b"")
        assert await client.rest(0.05) == (b"", True)


async def test_fields_are_written_as_they_are(stage: Stage) -> None:
    """In order, with duplicates, none added but framing."""
    fields = ((b"set-cookie", b"a=1"), (b"x-b", b"caf\xc3\xa9"), (b"set-cookie", b"b=2"), (b"x-empty", b""))

    async def say(turn: Turn) -> None:
        await turn.head(200, *fields)
        await turn.send(b"ab")
        await turn.send(b"")
        await turn.send(b"c", more=False)

    stage.story = say
    one = await stage.ask(asked(b"GET", b"/"))
    assert (one.fields, one.body, one.open) == ((*fields, (b"transfer-encoding", b"chunked")), b"abc", True)


@pytest.mark.parametrize(
    "field", [(b"x-a", b"1\r\nX-Forged: 1"), (b"x-a\r\nx-b", b"1"), (b"x-a", b"1\n2"), (b"x-a", b"\0")]
)
async def test_no_answer_can_forge_a_field(field: tuple[bytes, bytes], stage: Stage) -> None:
    """Nothing of it is written, and the connection ends."""

    async def say(turn: Turn) -> None:
        await turn.say(200, b"ok", field)

    stage.story = say
    one = await stage.ask(asked(b"GET", b"/"))
    assert (one.status, one.first) == (0, b"")
    assert isinstance(stage.errors[0], ValueError)


@pytest.mark.parametrize(("length", "body"), [(5, b"four"), (3, b"four")])
async def test_a_body_that_is_not_its_length_ends_the_connection(length: int, body: bytes, stage: Stage) -> None:
    """What is too much is never written; what is too little is never taken for complete."""

    async def say(turn: Turn) -> None:
        await turn.head(200, (b"content-length", b"%d" % length))
        await turn.send(body, more=False)

    stage.story = say
    async with await Client.to(stage.port) as client:
        one = await client.ask(asked(b"GET", b"/"))
        rest, still_open = await client.rest(5)
    assert (one.cut, rest, still_open) == (True, b"", False)


async def test_an_old_client_gets_no_chunks(stage: Stage) -> None:
    """HTTP/1.0: the body ends with the connection, unless its length is known."""

    async def say(turn: Turn) -> None:
        await turn.head(200)
        await turn.send(b"to ")
        await turn.send(b"the end", more=False)

    stage.story = say
    one = await stage.ask(b"GET / HTTP/1.0\r\n\r\n")
    assert (one.body, one.values(b"transfer-encoding"), one.value(b"connection")) == (b"to the end", [], b"close")
    stage.story = answer
    one = await stage.ask(b"GET /known HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    assert (one.body, one.value(b"content-length"), one.value(b"connection")) == (b"/known", b"6", b"close")


@pytest.mark.parametrize(("version", "ending"), [(b"1.0", ConnectionResetError), (b"1.1", asyncio.IncompleteReadError)])
async def test_a_cut_answer_can_be_told_from_a_complete_one(
    version: bytes, ending: type[Exception], stage: Stage
) -> None:
    """By a missing last chunk; where the end of the connection is the end of the body, by a reset."""

    async def say(turn: Turn) -> None:
        await turn.head(200)
        await turn.send(b"half")
        turn.cut()

    stage.story = say
    async with await Client.to(stage.port) as client:
        await client.send(b"GET / HTTP/%b\r\nHost: a\r\n\r\n" % version)
        with pytest.raises(ending):
            await client.reader.readuntil(b"0\r\n\r\n")


async def test_a_cut_after_the_client_has_left_is_no_error(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    """Upstream and client may end at the same moment."""
    ended = []

    async def say(turn: Turn) -> None:
        await turn.head(200)
        await turn.send(b"half")
        await turn.gone()
        task = asyncio.current_task()
        assert task is not None
        task.add_done_callback(ended.append)
        turn.cut()

    stage.story = say
    async with await Client.to(stage.port) as client:
        await client.send(b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
        await stage.turn()
    await until(lambda: ended)
    assert ended[0].exception() is None


async def test_pipelined_requests_are_answered_in_order(stage: Stage) -> None:
    """The second waits until the first is answered."""
    first = asyncio.Event()

    async def say(turn: Turn) -> None:
        if turn.target == b"/1":
            await first.wait()
        await turn.say(200, turn.target)

    stage.story = say
    async with await Client.to(stage.port) as client:
        await client.send(b"".join(asked(b"GET", b"/%d" % number) for number in (1, 2, 3)))
        await stage.turn()
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(stage.turns) == 1
        first.set()
        assert [(await client.answer()).body for _ in range(3)] == [b"/1", b"/2", b"/3"]


async def test_a_malformed_second_request_does_not_break_the_first_answer(stage: Stage) -> None:
    """It is answered in its turn; its log line tells nothing of the request before it."""
    first = asyncio.Event()

    async def say(turn: Turn) -> None:
        if turn.refused is None:
            await first.wait()
        await answer(turn)

    stage.story = say
    async with await Client.to(stage.port) as client:
        await client.send(
            asked(b"GET", b"/good", b"X-Request-Id: " + b"a" * 32) + b"GET /bad HTTP/1.1\r\nno colon\r\n\r\n"
        )
        await stage.turn()
        first.set()
        assert [(await client.answer()).status for _ in range(2)] == [200, 400]
        await client.gone()
    assert [turn.target for turn in stage.turns] == [b"/good", b"/bad"]
    assert stage.turns[1].headers == []


@pytest.mark.parametrize("garbage", [b"\0\1\2\r\n\r\n", b"garbage\r\n\r\n", b" / HTTP/1.1\r\n\r\n"])
async def test_garbage_on_a_used_connection_is_a_request_of_its_own(garbage: bytes, stage: Stage) -> None:
    """Neither target nor fields of the request before it are taken for its own."""
    async with await Client.to(stage.port) as client:
        await client.ask(asked(b"GET", b"/good", b"X-Request-Id: " + b"a" * 32))
        one = await client.ask(garbage)
    assert one.status in {400, 501}
    assert stage.turns[1].target != b"/good"
    assert stage.turns[1].headers == []


async def test_a_client_that_leaves_is_noticed_behind_a_pipelined_request(stage: Stage) -> None:
    """The request under way learns of it, not only the one that waits."""

    async def say(turn: Turn) -> None:
        await turn.read()
        await turn.gone()

    stage.story = say
    async with await Client.to(stage.port) as client:
        await client.send(asked(b"GET", b"/1") + asked(b"GET", b"/2"))
        await stage.turn()
        for _ in range(10):
            await asyncio.sleep(0)
    await until(lambda: stage.turns[0].left, within=5)


async def test_a_broken_chunk_in_a_body(stage: Stage) -> None:
    """The app is told, the client gets its 400, the connection ends."""
    async with await Client.to(stage.port) as client:
        await client.send(asked(b"POST", b"/b", b"Transfer-Encoding: chunked") + chunk(b"good"))
        await stage.turn()
        one = await client.ask(b"zz\r\nbad\r\n0\r\n\r\n")
        assert (one.status, one.value(b"connection")) == (400, b"close")
        await client.gone()
    assert (len(stage.turns), stage.turns[0].body) == (1, b"good")


async def test_a_broken_chunk_after_the_answer_says_no_more(stage: Stage) -> None:
    """What was answered early is not answered again: the connection just ends."""

    async def early(turn: Turn) -> None:
        await turn.say(200, b"early")

    stage.story = early
    async with await Client.to(stage.port) as client:
        await client.send(asked(b"POST", b"/b", b"Transfer-Encoding: chunked") + chunk(b"good"))
        assert (await client.answer()).body == b"early"
        await client.send(b"zz\r\nbad\r\n0\r\n\r\n")
        rest, still_open = await client.rest(5)
    assert (rest, still_open, len(stage.turns)) == (b"", False, 1)


async def test_an_app_that_raises_or_says_nothing_ends_the_connection(stage: Stage) -> None:
    """Silence would keep the client waiting."""

    async def fail(turn: Turn) -> None:
        if turn.target == b"/raise":
            raise RuntimeError("a fault")

    stage.story = fail
    for target in (b"/raise", b"/nothing"):
        one = await stage.ask(asked(b"GET", target))
        assert (one.status, one.cut) == (0, True)
