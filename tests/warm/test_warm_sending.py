"""How warming asks: in order, as many at once and as fast as told, again where it is asked for patience, each once."""

import asyncio
from functools import partial

import pytest
from fakes import NOON, FakeClock, until

from proxy.core.http_date import render
from proxy.core.types import Request, Response
from proxy.warm.done import Done
from proxy.warm.sending import Failed, Manner, Sender, Unreachable, asked_as
from proxy.warm.wanted import Wanted

STORED = Response(200, ((b"cache-status", b"Frontrunner; fwd=uri-miss; stored"),))
MANNER = Manner(b"proxy:8080")


def busy(*retry_after):
    return Response(503, tuple((b"retry-after", value) for value in retry_after))


class Stage:
    """A proxy that answers as it is told, a clock that moves by what is slept, and a sender before them."""

    def __init__(self, *answers, manner=MANNER, done=None, refusal=None):
        self.clock, self.answers = FakeClock(), list(answers) or [STORED]
        self.asked, self.slept, self.began, self.told = [], [], [], 0
        self.sender = Sender(self.ask, self.refusing, done or Done(None), manner, self.clock, self.sleep)
        self.refusal = refusal

    async def ask(self, request):
        self.asked.append(request)
        self.began.append(self.clock.timer() - 100)
        said = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(said, Exception):
            raise said
        return said, {}

    async def refusing(self, request):
        return self.refusal

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.clock.advance(seconds)

    def tell(self):
        self.told += 1

    async def send(self, *wanted):
        remaining = self.sender.remaining(wanted)
        await self.sender(remaining, self.tell)
        return str(self.sender.tally).partition(": ")[2]


def get(target=b"/", *headers):
    return Wanted(Request("GET", target, headers))


SENT = {
    "as it is": (get(b"/", (b"x-a", b"1")), (), ((b"host", b"proxy:8080"), (b"x-a", b"1"))),
    "of another host": (get(b"/", (b"host", b"a")), (), ((b"host", b"a"),)),
    "a host for all": (get(b"/", (b"host", b"a")), ((b"host", b"b"),), ((b"host", b"b"),)),
    "a host for those without": (get(), ((b"host", b"b"),), ((b"host", b"b"),)),
    "a field of its own": (get(b"/", (b"x-a", b"1")), ((b"x-a", b"2"),), ((b"host", b"proxy:8080"), (b"x-a", b"2"))),
    "a priority of its own": (get(b"/", (b"priority", b"u=1")), (), ((b"host", b"proxy:8080"),)),
}


@pytest.mark.parametrize(("wanted", "headers", "sent"), SENT.values(), ids=SENT)
def test_the_fields_that_are_sent(wanted, headers, sent):
    """Always in the background (RFC 9218), and for the proxy's own name where nobody says another."""
    assert asked_as(wanted, Manner(b"proxy:8080", headers)).request.headers == (*sent, (b"priority", b"u=7"))


async def test_all_are_asked_once_in_order():
    stage = Stage()
    targets = [b"/%d" % number for number in range(9)]
    assert await stage.send(*map(get, targets)) == "9 stored, 0 already there, 0 not stored, 0 failed"
    assert [request.target for request in stage.asked] == targets
    assert (stage.told, stage.slept) == (9, [])


async def test_what_is_done_is_skipped_and_what_failed_is_not(tmp_path):
    file, wanted = tmp_path / "done", [get(b"/1"), get(b"/2"), get(b"/3")]
    with Done(file) as done:
        await Stage(STORED, Failed("cut"), Response(500), done=done).send(*wanted)
    with Done(file) as done:
        stage = Stage(done=done)
        assert await stage.send(*wanted) == "2 stored, 0 already there, 0 not stored, 0 failed, 1 done before"
        assert [request.target for request in stage.asked] == [b"/2", b"/3"]
    with Done(file) as done:
        fields = Stage(done=done, manner=Manner(b"proxy:8080", ((b"accept", b"a/b"),)))
        assert "done before" not in await fields.send(*wanted)


async def test_the_limit_is_for_this_run(tmp_path):
    wanted = [get(b"/%d" % number) for number in range(5)]
    for asked in ([b"/0", b"/1"], [b"/2", b"/3"], [b"/4"]):
        with Done(tmp_path / "done") as done:
            stage = Stage(done=done, manner=Manner(b"p", most=2))
            await stage.send(*wanted)
            assert [request.target for request in stage.asked] == asked


@pytest.mark.parametrize("parallel", [1, 3])
async def test_the_pace(parallel):
    stage = Stage(manner=Manner(b"p", gap_s=0.5, parallel=parallel))
    await stage.send(*[get(b"/%d" % number) for number in range(4)])
    assert all(after - before >= 0.5 for before, after in zip(stage.began, stage.began[1:], strict=False))
    assert stage.began[0] == 0


async def test_what_is_slow_anyway_waits_for_no_pace():
    stage = Stage(manner=Manner(b"p", gap_s=0.5))

    async def slowly(request):
        stage.clock.advance(40)
        return STORED, {}

    sender = Sender(slowly, stage.refusing, Done(None), Manner(b"p", gap_s=0.5), stage.clock, stage.sleep)
    await sender([get(b"/1"), get(b"/2")], stage.tell)
    assert stage.slept == []


@pytest.mark.parametrize("parallel", [1, 2, 5])
async def test_so_many_at_once_and_no_more(parallel):
    go, waiting, most = asyncio.Event(), 0, []

    async def ask(request):
        nonlocal waiting
        waiting += 1
        most.append(waiting)
        await go.wait()
        waiting -= 1
        return STORED, {}

    stage = Stage()
    sender = Sender(ask, stage.refusing, Done(None), Manner(b"p", parallel=parallel), stage.clock, stage.sleep)
    running = asyncio.get_running_loop().create_task(sender([get(b"/%d" % n) for n in range(7)], stage.tell))
    await until(lambda: waiting == parallel)
    go.set()
    await running
    assert (max(most), len(most)) == (parallel, 7)


PATIENCE = {
    "no busy one": ([STORED], [], 1),
    "seconds": ([busy(b"7"), STORED], [7.0], 2),
    "a date": ([busy(render(NOON + 90)), STORED], [90.0], 2),
    "a date that is over": ([busy(render(NOON - 90)), STORED], [0.0], 2),
    "at most three times": ([busy(b"1")], [1.0, 1.0, 1.0], 4),
    "without a time": ([busy()], [], 1),
    "an hour": ([busy(b"3600"), STORED], [3600.0], 2),
    "more than anybody has": ([busy(b"3601")], [], 1),
    "much more": ([busy(b"9" * 30)], [], 1),
    "no time": ([busy(b"soon")], [], 1),
    "a sign": ([busy(b"-1")], [], 1),
    "several": ([busy(b"1", b"2")], [], 1),
    "another status": ([Response(500, ((b"retry-after", b"1"),))], [], 1),
}


@pytest.mark.parametrize(("answers", "slept", "asked"), PATIENCE.values(), ids=PATIENCE)
async def test_patience(answers, slept, asked):
    stage = Stage(*answers)
    told = await stage.send(get())
    assert (stage.slept, len(stage.asked), stage.told) == (slept, asked, 1)
    assert told.startswith("1 stored") is (answers[-1] is STORED)
    assert ("1 failed" in told) is (answers[-1] is not STORED)


@pytest.mark.parametrize("method", ["POST", "QUERY"])
@pytest.mark.parametrize("refusal", [None, "method"])
async def test_only_what_the_proxys_rules_call_safe_is_asked_again(method, refusal):
    stage = Stage(refusal=refusal)
    told = await stage.send(Wanted(Request(method, b"/", (), b"{}")), get(b"/1"))
    assert [request.method for request in stage.asked] == [method, "GET"][refusal is not None :]
    assert ("1 not asked (method)" in told) is (refusal is not None)
    assert stage.told == 2


@pytest.mark.parametrize("parallel", [1, 3])
async def test_when_the_proxy_is_gone_nothing_more_is_asked(parallel):
    stage = Stage(STORED, Unreachable("refused"), manner=Manner(b"p", parallel=parallel))
    with pytest.raises(Unreachable, match="refused"):
        await stage.send(*[get(b"/%d" % number) for number in range(20)])
    assert stage.sender.tally.came.total() == 1
    assert len(stage.asked) <= 1 + parallel


async def test_when_nothing_can_be_remembered_nothing_more_is_asked(tmp_path):
    stage = Stage(done=(done := Done(tmp_path / "done")))
    done.add = partial(_full, done)
    with pytest.raises(OSError, match="full"):
        await stage.send(get(b"/1"), get(b"/2"))
    done.__exit__(None, None, None)
    assert len(stage.asked) == 1


def _full(done, digest):
    raise OSError("the disk is full")


async def test_an_interruption_leaves_the_tally_and_the_file_as_they_were(tmp_path):
    go = asyncio.Event()

    async def ask(request):
        if request.target == b"/2":
            await go.wait()
        return STORED, {}

    stage = Stage()
    with Done(tmp_path / "done") as done:
        sender = Sender(ask, stage.refusing, done, MANNER, stage.clock, stage.sleep)
        running = asyncio.get_running_loop().create_task(sender(sender.remaining([get(b"/1"), get(b"/2")]), stage.tell))
        await until(lambda: stage.told == 1)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert sender.tally.came.total() == 1
    with Done(tmp_path / "done") as done:
        again = Stage(done=done)
        await again.send(get(b"/1"), get(b"/2"))
    assert [request.target for request in again.asked] == [b"/2"]
