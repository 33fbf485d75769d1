"""Events become lines: in order, in batches, off the hot path; nothing here raises into a request or blocks it."""

import json
import logging
import threading
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fakes import FakeClock

from proxy import log as module
from proxy.core.format.console import Console
from proxy.core.format.json import Json
from proxy.core.log_fields import request_fields
from proxy.core.log_line import ABANDONED, Call, LogLine
from proxy.core.sampling import Sampling
from proxy.core.types import Outcome
from proxy.log import FLUSH_AFTER_S, MOST_WAITING, Log, StandardLogging, hear_all
from proxy.log_writer import Nowhere

ALWAYS = ["timestamp", "level", "event", "version", "pid"]


class Reader:
    """The other end of the pipe; it may be blocked."""

    def __init__(self) -> None:
        self.batches: list[bytes] = []
        self.free = threading.Event()
        self.free.set()
        self.asked = threading.Event()
        self.error: Exception | None = None
        self.takes: int | None = None

    def write(self, batch: bytes) -> int:
        self.asked.set()
        assert self.free.wait(20)
        if self.error is not None:
            raise self.error
        whole = batch if self.takes is None else b"".join(batch.splitlines(keepends=True)[: self.takes])
        self.batches.append(whole)
        return len(whole)

    def reopen(self) -> None:
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        pass

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in b"".join(self.batches).splitlines()]


class Loop:
    """A `call_later` that calls when the test says so."""

    def __init__(self) -> None:
        self.due: list[tuple[float, Callable[[], None]]] = []

    def call_later(self, seconds: float, call: Callable[[], None]) -> None:
        self.due.append((seconds, call))

    def run(self) -> None:
        due, self.due = self.due, []
        for _, call in due:
            call()


@pytest.fixture
def reader() -> Reader:
    return Reader()


@pytest.fixture
def log(reader: Reader) -> Iterator[Log]:
    log = Log(Json(), reader, FakeClock())
    yield log
    reader.free.set()
    log.close()


def line(number: int = 0, **more: Any) -> LogLine:
    return LogLine(f"{number:032x}", "GET", f"/{number}", began=1.0, **more)


def test_lines_wait_for_each_other(log: Log, reader: Reader) -> None:
    """One flush, FLUSH_AFTER_S after the first of them, in one write, in order."""
    loop = Loop()
    log.use_loop(loop.call_later)
    for number in range(3):
        log.request(line(number))
    log.upstream_call(Call("GET", "/up"), "f" * 32)
    assert (reader.batches, [seconds for seconds, _ in loop.due]) == ([], [FLUSH_AFTER_S])
    loop.run()
    log.close()
    assert len(reader.batches) == 1
    assert [one["path"] for one in reader.lines] == ["/0", "/1", "/2", "/up"]
    assert [one["event"] for one in reader.lines] == ["request"] * 3 + ["upstream_call"]


def test_the_next_batch_has_its_own_flush(log: Log, reader: Reader) -> None:
    loop = Loop()
    log.use_loop(loop.call_later)
    for number in range(2):
        log.request(line(number))
        loop.run()
    log.close()
    assert [len(batch.splitlines()) for batch in reader.batches] == [1, 1]


def test_closing_writes_what_waits(log: Log, reader: Reader) -> None:
    log.use_loop(Loop().call_later)
    log.request(line(7))
    log.close()
    assert [one["path"] for one in reader.lines] == ["/7"]


def test_a_job_leaves_a_line_of_its_own(log: Log, reader: Reader) -> None:
    log.request(line(7), "job")
    log.request(line(8, error_source="upstream"), "job")
    log.close()
    assert [(one["event"], one["path"], one["level"]) for one in reader.lines] == [
        ("job", "/7", "info"), ("job", "/8", "error"),
    ]  # fmt: skip


def test_an_event_is_written_at_once_behind_what_waits(log: Log, reader: Reader) -> None:
    """`ready` is what a supervisor waits for; order is kept all the same."""
    log.use_loop(Loop().call_later)
    log.request(line(1))
    log.events.info("ready", url="http://127.0.0.1:8080")
    log.close()
    assert [one["event"] for one in reader.lines] == ["request", "ready"]


def test_before_the_loop_runs_nothing_waits(log: Log, reader: Reader) -> None:
    log.events.info("ready", url="u")
    log.close()
    assert [one["event"] for one in reader.lines] == ["ready"]


@pytest.mark.parametrize("form", [Json(), Console()], ids=["json", "console"])
def test_both_ways_write_the_same_bytes(form: Any, reader: Reader) -> None:
    """A line of the hot path and a structlog event with equal fields cannot be told apart."""
    log = Log(form, reader, FakeClock(wall=1_000_000_000.25))
    full = line(
        3, rule="kept", outcome=Outcome.HIT, status=200, age_s=3.0, trace_id="é", key_hash="ab", client_ip="::1"
    )
    full.close(2.0)
    log.request(full)
    log.events.info("request", **request_fields(full))
    log.close()
    first, second = b"".join(reader.batches).splitlines()
    assert first == second
    if isinstance(form, Json):
        known = json.loads(first)
        assert list(known)[:5] == ALWAYS
        assert (known["timestamp"], known["level"]) == ("2001-09-09T01:46:40.250000Z", "info")


@pytest.mark.parametrize(
    ("source", "level"), [("upstream", "error"), ("proxy", "error"), ("client", "info"), (None, "info")]
)
def test_levels(source: str | None, level: str, log: Log, reader: Reader) -> None:
    """What a client did wrong is no error of ours."""
    log.request(line(error_source=source))
    log.events.warning("careful")
    log.upstream_call(Call(error="upstream_cut"), "f" * 32)
    log.close()
    assert [one["level"] for one in reader.lines] == [level, "warning", "error"]


class Wicked:
    """An object whose text cannot be had."""

    def __str__(self) -> str:
        raise RuntimeError("never")

    __repr__ = __str__


def deep() -> list[Any]:
    """Return a list deeper than any serializer goes."""
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


HOSTILE = {
    "a lone surrogate": "\ud800", "a huge int": 10**400, "bytes": b"\xff\0", "a set": {1, 2}, "an odd key": {1: {b"k": ()}},
    "an exception": ValueError("\n\x1b[31m"), "a line break": "a\nb\r\n{}", "not a number": float("nan"), "depth": deep(),
    "an object": Wicked(), "a class": Wicked, "an escape": "\x1b]0;title\x07", "a separator": "\u2028\u0085",
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("form", [Json(), Console()], ids=["json", "console"])
def test_no_field_can_raise_or_forge_a_line(form: Any, name: str, reader: Reader) -> None:
    """Whatever it holds, an event is one line, and the line after it is whole."""
    log = Log(form, reader, FakeClock())
    log.events.error("error", field=HOSTILE[name])
    log.request(line(1, trace_id="\ud800", client_ip="\n"))
    log.close()
    written = b"".join(reader.batches)
    assert written.count(b"\n") == 2
    assert b"\x1b" not in written
    assert len(written.decode("utf-8").splitlines()) == 2 or isinstance(form, Json)


def test_a_blocked_reader_costs_lines_and_no_request(log: Log, reader: Reader) -> None:
    """Lines wait up to a bound; what is more is dropped and counted; later one line says so."""
    reader.free.clear()
    log.request(line(0))
    assert reader.asked.wait(10)
    for number in range(1, MOST_WAITING + 5):
        log.request(line(number))
    assert log.dropped == 5
    reader.free.set()
    log.close()
    log.events.info("after")
    log.close()
    told = reader.lines
    assert [one["path"] for one in told[:MOST_WAITING]] == [f"/{number}" for number in range(MOST_WAITING)]
    dropped = [one for one in told[MOST_WAITING:] if one["event"] == "dropped"]
    assert [(one["count"], one["level"]) for one in dropped] == [(5, "warning")]
    assert told[-1]["event"] in {"after", "dropped"}


def test_long_lines_wait_up_to_a_number_of_bytes(log: Log, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a few URLs of 64 KiB would take all memory."""
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    reader.free.clear()
    loop = Loop()
    log.use_loop(loop.call_later)
    for _ in range(10):
        log.request(LogLine("id", "GET", "/" + "x" * 3000, 0.0))
        loop.run()
    assert log.dropped == 6
    reader.free.set()
    log.close()
    loop.run()
    log.close()
    assert [one["event"] for one in reader.lines] == ["request"] * 4 + ["dropped"]


def test_a_burst_of_long_lines_is_dropped_before_it_is_rendered(log: Log, reader: Reader, monkeypatch: Any) -> None:
    monkeypatch.setattr(module, "MOST_BYTES", 10_000)
    loop = Loop()
    log.use_loop(loop.call_later)
    for _ in range(10):
        log.request(LogLine("id", "GET", "/" + "x" * 3000, 0.0))
    loop.run()
    assert log.dropped == 6


def test_what_was_dropped_is_told_though_nothing_else_is_logged(log: Log, reader: Reader) -> None:
    loop = Loop()
    log.use_loop(loop.call_later)
    reader.free.clear()
    for number in range(MOST_WAITING + 3):
        log.request(line(number))
    loop.run()
    assert reader.asked.wait(10)
    assert loop.due, "it looks again"
    reader.free.set()
    log.close()
    loop.run()
    log.close()
    assert [(one["event"], one["count"]) for one in reader.lines[MOST_WAITING:]] == [("dropped", 3)]
    loop.run()
    assert loop.due == []


def test_received_and_dropped_are_all_there_were(log: Log, reader: Reader) -> None:
    loop = Loop()
    log.use_loop(loop.call_later)
    reader.free.clear()
    for number in range(MOST_WAITING + 500):
        log.request(line(number))
        if number % 1000 == 0:
            loop.run()
    reader.free.set()
    log.close()
    loop.run()
    log.close()
    told = reader.lines
    dropped = sum(one["count"] for one in told if one["event"] == "dropped")
    assert len([one for one in told if one["event"] == "request"]) + dropped == MOST_WAITING + 500


def test_a_log_that_cannot_be_opened_again_says_so_where_it_was(log: Log, reader: Reader) -> None:
    reader.error = FileNotFoundError(2, "No such file or directory")
    failed = reader.error

    def reopen() -> None:
        raise failed

    reader.reopen, reader.error = reopen, None  # type: ignore[method-assign]
    log.reopen()
    log.close()
    (told,) = reader.lines
    assert (told["event"], told["level"]) == ("config", "error")
    assert "No such file" in told["message"]


def test_lines_are_sampled_and_events_are_not(reader: Reader) -> None:
    log = Log(Json(), reader, FakeClock(), Sampling(0.0))
    log.request(line(1))
    slow = line(2)
    slow.close(5.0)
    log.request(slow)
    log.request(line(3), "job")
    log.upstream_call(Call("GET", "/", 200, ended=0.0), "id")
    log.events.info("ready")
    log.close()
    assert [(one["event"], one.get("sample_rate")) for one in reader.lines] == [
        ("request", 1.0), ("job", None), ("upstream_call", None), ("ready", None),
    ]  # fmt: skip


LEVELS = {
    "that was answered": (Call("GET", "/", 200), "info", {"status": 200}),
    "that failed": (Call("GET", "/", error="upstream_cut"), "error", {"error": "upstream_cut"}),
    "that all who waited for it have left": (Call("GET", "/", error=ABANDONED), "info", {"reason": "abandoned"}),
}


@pytest.mark.parametrize(("call", "level", "told"), LEVELS.values(), ids=LEVELS)
def test_the_line_of_a_call(call: Call, level: str, told: dict[str, Any], log: Log, reader: Reader) -> None:
    """Who leaves is no failure of the upstream's."""
    log.upstream_call(call, "id")
    log.close()
    (one,) = reader.lines
    assert (one["level"], {name: one[name] for name in ("status", "error", "reason") if name in one}) == (level, told)


def test_libraries_warnings_and_threads_are_heard(log: Log, reader: Reader, capfd: pytest.CaptureFixture[str]) -> None:
    """Nothing of theirs is printed: stdout holds our lines only."""
    root, hook, handlers = logging.getLogger(), threading.excepthook, logging.getLogger().handlers[:]
    try:
        hear_all(log)
        for name in ("uvicorn.error", "aiohttp.client", "httpx2", "asyncio"):
            logging.getLogger(name).warning("of %s", name)
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            logging.captureWarnings(capture=True)
            warnings.warn("old ways", DeprecationWarning, stacklevel=1)
            logging.captureWarnings(capture=False)

        def fail() -> None:
            raise ValueError("in a thread")

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join(10)
    finally:
        logging.captureWarnings(capture=False)
        threading.excepthook = hook
        root.handlers[:] = handlers
    log.close()
    told = [one.get("logger") for one in reader.lines]
    assert told == ["uvicorn.error", "aiohttp.client", "httpx2", "asyncio", "py.warnings", None]
    assert "old ways" in reader.lines[-2]["message"]
    assert reader.lines[-1]["error"] == "ValueError"
    assert capfd.readouterr() == ("", "")


def test_a_reader_that_is_gone_is_no_error(log: Log, reader: Reader) -> None:
    """A closed pipe or a full disk costs lines, never an answer; later lines are written again, and tell how many."""
    reader.error = BrokenPipeError()
    log.request(line(0))
    log.close()
    reader.error = None
    log.request(line(1))
    log.close()
    assert [one.get("path", one.get("count")) for one in reader.lines] == ["/1", 1]


def test_lines_that_a_full_disk_did_not_take_were_missing_without_a_word(log: Log, reader: Reader) -> None:
    """Nor is a `dropped` line lost with what it tells."""
    loop = Loop()
    log.use_loop(loop.call_later)

    def told(*numbers: int) -> None:
        for number in numbers:
            log.request(line(number))
        loop.run()
        log.close()

    reader.takes = 2
    told(0, 1, 2, 3, 4)
    reader.takes = 1
    told(5)
    reader.takes = 0
    told(6)
    reader.takes = None
    told(7)
    assert [one.get("path", one.get("count")) for one in reader.lines] == ["/0", "/1", "/5", "/7", 4]
    assert log.dropped >= 4


def test_what_was_logged_while_a_line_was_rendered_stood_before_it(reader: Reader) -> None:
    """A warning may be raised anywhere; it waits for its turn, and nothing for itself."""

    class Talks(Json):
        def render(self, fields: Any) -> bytes:
            if fields["event"] == "first":
                log.events.warning("second")
            return super().render(fields)

    log = Log(Talks(), reader, FakeClock())
    log.events.info("first")
    log.close()
    assert [one["event"] for one in reader.lines] == ["first", "second"]


def test_lines_of_another_thread_asked_the_loop_for_a_flush(log: Log, reader: Reader) -> None:
    """It is not theirs to call."""
    loop = Loop()
    log.use_loop(loop.call_later)
    thread = threading.Thread(target=lambda: log.events.warning("of another"))
    thread.start()
    thread.join(10)
    log.close()
    assert (loop.due, [one["event"] for one in reader.lines]) == ([], ["of another"])


def test_events_from_other_threads_are_whole(log: Log, reader: Reader) -> None:
    """Libraries log from threads of their own; each thread's lines stay in its order, and one thread writes."""
    log.use_loop(Loop().call_later)
    raised: list[BaseException] = []

    def shout(name: int) -> None:
        try:
            for number in range(200):
                log.events.warning("shout", name=name, number=number)
        except BaseException as error:
            raised.append(error)

    threads = [threading.Thread(target=shout, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    log.close()
    assert raised == []
    told = [(one["name"], one["number"]) for one in reader.lines]
    assert sorted(told) == [(a, b) for a in range(4) for b in range(200)]
    assert all([b for a, b in told if a == name] == list(range(200)) for name in range(4))


def test_what_a_library_says_beyond_its_first_line_is_not_told(log: Log, reader: Reader) -> None:
    """Asyncio shows the exceptions of tasks there, and they show what a client sent."""
    logger = logging.getLogger("a.loud.library")
    logger.addHandler(handler := StandardLogging(log))
    logger.propagate = False
    try:
        logger.error("never retrieved\nfuture: <Task exception=ValueError('4111')>")
        logger.error("x" * 100_000)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    log.close()
    assert [one["message"] for one in reader.lines] == ["never retrieved", "x" * 500]


def test_standard_logging_goes_through_the_same_pipe(log: Log, reader: Reader) -> None:
    """Libraries' warnings and errors become `error` events with the logger's name."""
    logger = logging.getLogger("a.library")
    logger.addHandler(handler := StandardLogging(log))
    logger.propagate = False
    try:
        logger.info("quiet")
        logger.warning("careful: %s", "this")
        try:
            raise ValueError("a fault")
        except ValueError:
            logger.exception("it failed")
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    log.close()
    told = [{name: one.get(name) for name in ("event", "level", "logger", "message", "error")} for one in reader.lines]
    assert told == [
        {"event": "error", "level": "warning", "logger": "a.library", "message": "careful: this", "error": None},
        {
            "event": "error",
            "level": "error",
            "logger": "a.library",
            "message": "it failed",
            "error": "ValueError",
        },
    ]
    assert reader.lines[-1]["where"].partition(":")[0] == __file__


def test_a_library_that_logs_badly_does_not_break_a_request(log: Log, reader: Reader, capsys: Any) -> None:
    """A wrong format or a wicked argument is the library's fault, and stays in the log."""
    logger = logging.getLogger("a.bad.library")
    logger.addHandler(handler := StandardLogging(log))
    logger.propagate = False
    try:
        logger.error("%d", "not a number")
        logger.error("%s", Wicked())
    finally:
        logger.removeHandler(handler)
        logger.propagate = True


def test_a_log_that_is_off_renders_nothing() -> None:
    class Unwanted:
        def render(self, fields: object) -> bytes:
            raise AssertionError(fields)

    log = Log(Unwanted(), Nowhere(), FakeClock())
    log.events.info("ready")
    log.request(LogLine("id", "GET", "/", 0.0))
    log.close()
