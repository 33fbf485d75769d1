"""What a collector gets, and what one that is down, slow or hostile costs: spans and one event."""

import asyncio
import logging
import socket
import sys
import threading
import time

import pytest
from collector_stand import CollectorStand, fine
from fakes import FakeClock, until

from proxy import collector
from proxy.collector import AGAIN_S, MOST_ANSWER_BYTES, MOST_AT_ONCE, MOST_WAITING, Collector
from proxy.core.span import Span
from proxy.core.trace_context import SpanContext
from proxy.errors import StartError

HERE, ABOVE, ELSEWHERE = (
    SpanContext("a" * 32, "1" * 16),
    SpanContext("a" * 32, "2" * 16),
    SpanContext("b" * 32, "3" * 16),
)
EPOCH = 1_000_000_000.0


def span(name="GET", **more):
    known = {"kind": "SERVER", "parent": None, "began": 1.0, "ended": 3.5, "attributes": {}, **more}
    return Span(name, context=HERE, **known)


class Events:
    """Keeps what operators would be told."""

    def __init__(self):
        self.told = []

    def warning(self, event, **told):
        self.told.append(("warning", event, told))

    def info(self, event, **told):
        self.told.append(("info", event, told))


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(collector, "GATHER_S", 0.01)
    monkeypatch.setattr(collector, "CLOSE_WITHIN_S", 0.2)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.5")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def events():
    return Events()


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def to(events, clock):
    return lambda url: Collector(url, "shop", "one", clock, events)


def nobody():
    """Return the URL of a port where nobody listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


async def test_a_span_arrives_as_it_is(to):
    with CollectorStand() as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(
            span("GET page", parent=ABOVE, attributes={"a": 1, "b": 0.5, "c": "d", "e": True}, links=(ELSEWHERE,), failed=True), EPOCH,
        )  # fmt: skip
        await sending.close()
    (known,) = stand.spans
    assert (known.name, known.kind, known.trace_id, known.span_id, known.parent) == (
        "GET page", "SERVER", "a" * 32, "1" * 16, "2" * 16,
    )  # fmt: skip
    assert (known.began, known.ended, known.failed) == (EPOCH + 1, EPOCH + 3.5, True)
    assert (known.attributes, known.links) == ({"a": 1, "b": 0.5, "c": "d", "e": True}, [("b" * 32, "3" * 16)])
    assert known.resource.items() >= {"service.name": "shop", "service.instance.id": "one"}.items()
    assert stand.heads[0][0] == "/v1/traces"


@pytest.mark.parametrize("kind", ["SERVER", "CLIENT", "INTERNAL"])
async def test_only_a_clients_parent_is_elsewhere(kind, to):
    with CollectorStand() as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(kind=kind, parent=ABOVE), EPOCH)
        await sending.close()
    (known,) = stand.spans
    assert (known.kind, known.parent_is_remote) == (kind, kind == "SERVER")


async def test_below_a_path_of_its_own(to):
    with CollectorStand() as stand:
        sending = to(stand.url + "/otel/")
        sending.open()
        sending.export(span(), EPOCH)
        await sending.close()
    assert [path for path, _ in stand.heads] == ["/otel/v1/traces"]


async def test_credentials_come_from_the_exporters_own_variable(to, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20s3cret")
    with CollectorStand() as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(), EPOCH)
        await sending.close()
    assert stand.heads[0][1]["authorization"] == "Bearer s3cret"


async def test_what_has_gathered_goes_in_batches_over_one_connection(to):
    with CollectorStand() as stand:
        ports = set()
        stand.answer = lambda asked: (ports.add(asked.client_address), fine(asked))
        sending = to(stand.url)
        for _ in range(MOST_AT_ONCE + 1):
            sending.export(span(), EPOCH)
        sending.open()
        await asyncio.to_thread(stand.wait, 2)
        await sending.close()
    assert (len(stand.spans), len(stand.heads), len(ports)) == (MOST_AT_ONCE + 1, 2, 1)


async def test_who_is_down_is_told_of_once_and_so_is_who_is_back(to, events, clock, caplog):
    with CollectorStand() as stand:
        stand.answer = lambda asked: asked.send_error(400, "no\x07" * 999)
        sending = to(stand.url)
        sending.open()
        for batches in range(1, 4):
            sending.export(span(), EPOCH)
            await asyncio.to_thread(stand.wait, batches)
        await until(lambda: events.told)
        stand.answer = fine
        sending.export(span(), EPOCH)
        await asyncio.to_thread(stand.wait, 4)
        clock.advance(AGAIN_S)
        sending.export(span(), EPOCH)
        await until(lambda: len(events.told) > 1)
        await sending.close()
    (level, event, told), back = events.told
    assert (level, event, told["collector"], told["taken"]) == ("warning", "tracing", stand.url, False)
    assert "code: 400" in told["error"]
    assert len(told["error"]) <= 200
    assert back == ("info", "tracing", {"collector": stand.url, "taken": True, "lost": 3})
    assert caplog.records == [], "what the SDK says is kept out of the log"


async def test_who_takes_too_little_is_told_of_as_often(to, events, clock):
    with CollectorStand() as stand:
        sending = to(stand.url)
        for _ in range(MOST_WAITING + 5):
            sending.export(span(), EPOCH)
        sending.open()
        await until(lambda: events.told)
        sending._lost = 1
        await until(lambda: not sending._waiting)
        await asyncio.to_thread(stand.wait, MOST_WAITING // MOST_AT_ONCE)
        clock.advance(AGAIN_S)
        sending.export(span(), EPOCH)
        await until(lambda: len(events.told) > 1)
        await sending.close()
    assert [(level, told["taken"], told["lost"]) for level, _, told in events.told] == [
        ("info", True, 5), ("info", True, 1),
    ]  # fmt: skip


async def test_where_nobody_listens_requests_go_on_and_closing_is_soon_done(to, events, caplog):
    sending = to(nobody())
    sending.open()
    began = time.perf_counter()
    for _ in range(3 * MOST_WAITING):
        sending.export(span(), EPOCH)
    took = time.perf_counter() - began
    await until(lambda: events.told)
    await sending.close()
    assert [told for _, _, told in events.told if not told["taken"]]
    assert len(events.told) == 1
    assert took / 3 / MOST_WAITING < 50e-6, f"{took:.3f} s"
    assert caplog.records == []


async def test_who_never_answers_holds_up_nothing(to):
    go = threading.Event()
    with CollectorStand(answer=lambda asked: (go.wait(10), fine(asked))) as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(), EPOCH)
        await asyncio.to_thread(stand.wait, 1)
        for _ in range(MOST_WAITING + 5):
            sending.export(span(), EPOCH)
        assert sending._lost == 5
        began = time.perf_counter()
        await sending.close()
        took = time.perf_counter() - began
        go.set()
        await until(lambda: not sending._thread.is_alive())
    assert took < 1.5, f"{took:.2f} s"


async def test_an_answer_without_end_is_not_read(to):
    sent, cut = [0], threading.Event()

    def endless(asked):
        asked.send_response(200)
        asked.send_header("transfer-encoding", "chunked")
        asked.end_headers()
        piece = b"x" * 2**16
        try:
            while sent[0] < 2**28:
                asked.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent[0] += len(piece)
        except OSError:
            asked.close_connection = True
            cut.set()

    with CollectorStand(answer=endless) as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(), EPOCH)
        await asyncio.to_thread(cut.wait, 5)
        await sending.close()
    assert cut.is_set()
    assert sent[0] < 2**24 + MOST_ANSWER_BYTES, "what the buffers of both ends hold"


async def test_a_redirect_is_not_followed(to):
    def elsewhere(asked):
        asked.send_response(307)
        asked.send_header("location", f"{stand.url}/elsewhere")
        asked.send_header("content-length", "0")
        asked.end_headers()

    with CollectorStand(answer=elsewhere) as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(), EPOCH)
        await sending.close()
    assert [path for path, _ in stand.heads] == ["/v1/traces"]


async def test_a_span_that_cannot_be_made_costs_its_batch(to, events):
    with CollectorStand() as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(kind="NONE"), EPOCH)
        await until(lambda: events.told)
        sending.export(span("after"), EPOCH)
        await sending.close()
    assert [one.name for one in stand.spans] == ["after"]
    assert events.told[0][2]["error"] == "KeyError('NONE')"


async def test_others_are_still_heard(to, caplog):
    with CollectorStand() as stand:
        sending = to(stand.url)
        sending.open()
        sending.export(span(), EPOCH)
        await asyncio.to_thread(stand.wait, 1)
        logging.getLogger("urllib3.connectionpool").warning("of the app that embeds us")
        await sending.close()
    assert [record.getMessage() for record in caplog.records] == ["of the app that embeds us"]
    assert not logging.getLogger("urllib3.connectionpool").filters


async def test_what_was_never_opened_can_be_closed(to):
    await to(nobody()).close()


async def test_the_thread_ends_when_its_loop_has_gone(to):
    sending = to(nobody())
    sending.open()
    loop = asyncio.new_event_loop()
    loop.close()
    sending._call = loop.call_soon_threadsafe
    sending.export(span(), EPOCH)
    await until(lambda: sending._told_at is not None)
    await sending.close()
    await until(lambda: not sending._thread.is_alive())


def test_without_the_extra_it_is_told_what_to_install(to, monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(StartError, match=r'tracing needs OpenTelemetry: pip install "frontrunner\[otel\]"'):
        to("http://collector:4318")


def test_a_variable_that_the_exporter_cannot_read_is_told_at_the_start(to, monkeypatch):
    monkeypatch.setattr(collector, "_exporter", lambda _: float("soon"))  # as older releases do for a timeout
    with pytest.raises(
        StartError, match="cannot have the exporter of tracing: could not convert string to float: 'soon'"
    ):
        to("http://collector:4318")
