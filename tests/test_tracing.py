"""Traces of the whole proxy, as a collector gets them and as the upstream sees them."""

import asyncio
import json
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest
from asgi_client import ask
from collector_stand import CollectorStand
from fakes import VIA, FakeClock, FakeEngine, LineKeeper, answer, unlimited, until

from proxy.app import Proxy
from proxy.config import from_mapping
from proxy.core.log_line import Call, LogLine
from proxy.core.trace_context import parent_of
from proxy.core.types import Request
from proxy.errors import UpstreamReset
from proxy.tracing import Tracing
from proxy.upstream.call import Upstream

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PARENT = ("traceparent", f"00-{TRACE}-{SPAN}-01")
NOT_SAMPLED = ("traceparent", f"00-{TRACE}-{SPAN}-00")
STATE = ("tracestate", "k=v")
SPLIT = {
    "by": {"query_list": {"name": "ids"}}, "merge": {"keyed": {"items": "$.items", "id": "$.id"}},
    "residual": "each", "max_parallel": 4,
}  # fmt: skip
RULES = [
    {"name": "page", "match": {"path": "/page/**"}, "ttl": "1h", "grace": "1h"},
    {"name": "brief", "match": {"path": "/brief"}, "ttl": "1m", "grace": "1h"},
    {
        "name": "items",
        "match": {"path": "/items"},
        "ttl": "1h",
        "split": SPLIT,
        "rollout": {"split": {"mode": "on", "audit": 0}},
    },
]


class Origin:
    """The slow service: waits until it may go on, and keeps the fields that it was sent."""

    def __init__(self):
        self.fields = []
        self.go = asyncio.Event()
        self.go.set()

    async def __call__(self, scope, receive, send):
        self.fields.append(tuple(scope["headers"]))
        await self.go.wait()
        if scope["path"] == "/page/broken":
            raise ConnectionResetError
        ids = parse_qs(scope["query_string"].decode()).get("ids", [""])[0].split(",")
        body = json.dumps({"items": [{"id": int(one)} for one in ids if one]}).encode()
        fields = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        status = 503 if scope["path"] == "/page/busy" else 200
        await send({"type": "http.response.start", "status": status, "headers": fields})
        await send({"type": "http.response.body", "body": body})

    @property
    def parents(self):
        """Return what each call named as its parent."""
        return [parent_of(fields) for fields in self.fields]

    def sent(self, name):
        return [dict(fields).get(name) for fields in self.fields]


class Traced:
    """The proxy between a client, an origin and a collector; the spans are there once it is closed."""

    def __init__(self, collector, folder, mode="on", **more):
        self.origin, self.log = Origin(), folder / "log"
        tracing = {"to": collector.url, "sample": "0%", "service": "shop", **more}
        config = from_mapping(
            {
                "upstream": "http://shop.test:81", "store": {"disk": "off"}, "admin": {"token": "t"}, "rules": RULES, "mode": mode,
                "log": {"to": str(self.log)}, **({} if tracing["to"] is None else {"tracing": tracing}),
            },
            {},
        )  # fmt: skip
        self.clock = FakeClock()
        self.proxy = Proxy(config, self.origin, clock=self.clock)

    @property
    def flights(self):
        return [flight for living in self.proxy._refresh._flights._living.values() for flight in living]

    async def ask(self, target, *fields, method="GET"):
        return await ask(self.proxy, method, target, fields)

    def lines(self, event="request"):
        found = [json.loads(line) for line in self.log.read_text().splitlines()]
        return [line for line in found if line["event"] == event]


@pytest.fixture
def collector():
    with CollectorStand() as stand:
        yield stand


@asynccontextmanager
async def traced(collector, folder, **more):
    one = Traced(collector, folder, **more)
    try:
        yield one
    finally:
        one.origin.go.set()
        await one.proxy.close()


def named(context):
    return context.trace_id, context.span_id


async def test_a_miss_is_a_request_with_a_call_below_that_the_upstream_sees_as_its_parent(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask("/page/a?secret=1")
    (request,), (call,) = collector.of("SERVER"), collector.of("CLIENT")
    assert (request.name, request.parent, call.trace_id, call.parent) == (
        "GET page", "", request.trace_id, request.span_id,
    )  # fmt: skip
    assert named(one.origin.parents[0]) == (call.trace_id, call.span_id)
    assert one.origin.parents[0].is_sampled
    assert request.began <= call.began <= call.ended <= request.ended
    told = request.attributes
    assert (told["frontrunner.outcome"], told["http.response.status_code"], told["url.path"]) == (
        "miss",
        200,
        "/page/a",
    )
    assert (call.attributes["server.address"], call.attributes["server.port"]) == ("shop.test", 81)
    assert request.resource["service.name"] == "shop"
    assert "secret" not in repr(collector.spans)


async def test_lines_and_spans_name_each_other(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask("/page/a")
        await one.ask("/page/a")
    (request,), (call,) = collector.of("SERVER"), collector.of("CLIENT")
    miss, hit = one.lines()
    (asked,) = one.lines("upstream_call")
    assert (miss["trace_id"], miss["span_id"]) == (request.trace_id, request.span_id)
    assert (asked["trace_id"], asked["span_id"]) == (call.trace_id, call.span_id)
    assert miss["request_id"] == request.attributes["frontrunner.request_id"]
    assert "span_id" not in hit, "it is not recorded"
    assert len(hit["trace_id"]) == 32
    assert hit["trace_id"] != miss["trace_id"]


async def test_a_clients_trace_goes_on(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask("/page/a", PARENT, STATE)
    (request,), (call,) = collector.of("SERVER"), collector.of("CLIENT")
    assert (request.trace_id, request.parent, request.parent_is_remote) == (TRACE, SPAN, True)
    assert (call.trace_id, call.parent, call.parent_is_remote) == (TRACE, request.span_id, False)
    assert named(one.origin.parents[0]) == (TRACE, call.span_id)
    assert one.origin.sent(b"tracestate") == [b"k=v"]
    assert one.lines()[0]["trace_id"] == TRACE


INVALID = {
    "an invalid parent": ("traceparent", f"00-{'0' * 32}-{SPAN}-01"),
    "no parent": ("x-other", "a"),
}


@pytest.mark.parametrize("field", INVALID.values(), ids=INVALID)
async def test_without_a_valid_parent_a_trace_begins_and_no_state_goes_on(field, collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask("/page/a", field, STATE)
    (request,), (call,) = collector.of("SERVER"), collector.of("CLIENT")
    assert request.parent == ""
    assert int(request.trace_id, 16)
    assert named(one.origin.parents[0]) == (request.trace_id, call.span_id)
    assert one.origin.sent(b"tracestate") == [None]


async def test_what_the_parent_does_not_record_is_not_recorded_here_nor_behind(collector, tmp_path):
    async with traced(collector, tmp_path, sample="100%") as one:
        await one.ask("/page/a", NOT_SAMPLED)
    assert collector.spans == []
    assert (one.origin.parents[0].trace_id, one.origin.parents[0].is_sampled) == (TRACE, False)
    (line,) = one.lines()
    assert line["trace_id"] == TRACE
    assert "span_id" not in line


HITS = {
    "none of them": ("0%", (), 0),
    "all of them": ("100%", (), 1),
    "one whose parent is": ("0%", (PARENT,), 1),
    "none whose parent is not": ("100%", (NOT_SAMPLED,), 0),
}


@pytest.mark.parametrize(("sample", "fields", "recorded"), HITS.values(), ids=HITS)
async def test_which_hits_are_recorded(sample, fields, recorded, collector, tmp_path):
    async with traced(collector, tmp_path, sample=sample) as one:
        await one.ask("/page/a")
        await one.ask("/page/a", *fields)
    outcomes = [span.attributes["frontrunner.outcome"] for span in collector.of("SERVER")]
    assert outcomes == ["miss", *["hit"] * recorded]
    assert len(collector.of("CLIENT")) == 1


async def test_who_waited_for_anothers_call_is_linked_to_it(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        one.origin.go.clear()
        asking = [asyncio.get_running_loop().create_task(one.ask("/page/a")) for _ in range(3)]
        await until(lambda: [flight.followers for flight in one.flights] == [3])
        one.origin.go.set()
        await asyncio.gather(*asking)
    requests, (call,) = collector.of("SERVER"), collector.of("CLIENT")
    followers = [span for span in requests if span.attributes["frontrunner.outcome"] == "collapsed"]
    (leader,) = [span for span in requests if span not in followers]
    assert len(followers) == 2
    assert [span.links for span in followers] == [[(call.trace_id, call.span_id)]] * 2
    assert (leader.links, call.parent) == ([], leader.span_id)
    assert len({span.trace_id for span in requests}) == 3


async def test_a_split_has_a_call_for_each_that_was_made(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask("/items?ids=1,2,3,4,5")
    (request,), calls = collector.of("SERVER"), collector.of("CLIENT")
    assert request.attributes["frontrunner.parts"] == 5
    assert len(calls) == request.attributes["frontrunner.upstream_calls"] > 2
    assert {call.parent for call in calls} == {request.span_id}
    assert {named(parent) for parent in one.origin.parents} == {(call.trace_id, call.span_id) for call in calls}
    assert len({call.span_id for call in calls}) == len(calls)


FAILED = {
    "the upstream's own failure": ("/page/busy", "503", "503"),
    "none of its answers": ("/page/broken", "upstream_invalid", "upstream_invalid"),
}


@pytest.mark.parametrize(("path", "of_request", "of_call"), FAILED.values(), ids=FAILED)
async def test_a_failure_of_the_upstream_is_an_error_of_both(path, of_request, of_call, collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask(path, method="POST")
    (request,), (call,) = collector.of("SERVER"), collector.of("CLIENT")
    assert (request.failed, call.failed) == (True, True)
    assert (request.attributes["error.type"], call.attributes["error.type"]) == (of_request, of_call)


async def test_refreshing_behind_an_answer_is_a_trace_of_its_own_that_links_to_the_request(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        await one.ask("/brief")
        one.clock.advance(61)
        await one.ask("/brief", PARENT, STATE)
        await until(lambda: len(one.origin.fields) == 2 and not one.flights)
    _, stale = collector.of("SERVER")
    _, call = collector.of("CLIENT")
    assert stale.attributes["frontrunner.outcome"] == "stale"
    assert call.attributes["frontrunner.purpose"] == "refresh"
    assert (call.parent, call.links) == ("", [(TRACE, stale.span_id)])
    assert call.trace_id not in {TRACE, stale.trace_id}
    assert one.origin.sent(b"tracestate")[1] is None


async def test_a_job_is_below_the_request_that_was_told_of_it(collector, tmp_path):
    async with traced(collector, tmp_path) as one:
        one.origin.go.clear()
        told = await one.ask("/page/a", ("prefer", "respond-async"), PARENT)
        one.origin.go.set()
        await until(lambda: not one.flights and not one.proxy._jobs._running)
    (request,), (call,), (job,) = collector.of("SERVER"), collector.of("CLIENT"), collector.of("INTERNAL")
    assert (told.status, request.attributes["http.response.status_code"]) == (202, 202)
    assert (job.name, job.trace_id, job.parent, call.parent) == (
        "job GET page", TRACE, request.span_id, request.span_id,
    )  # fmt: skip
    assert one.lines("job")[0]["span_id"] == job.span_id != request.span_id


async def test_what_is_only_observed_is_traced_all_the_same(collector, tmp_path):
    async with traced(collector, tmp_path, mode="observe") as one:
        await one.ask("/page/a", PARENT)
        await until(one.lines)
    (request,), (call,) = collector.of("SERVER"), collector.of("CLIENT")
    assert (request.attributes["frontrunner.would"], request.parent, call.parent) == ("miss", SPAN, request.span_id)


async def test_without_the_key_the_fields_go_up_as_the_client_sent_them(collector, tmp_path):
    nonsense = ("traceparent", "hello")
    async with traced(collector, tmp_path, to=None) as one:
        await one.ask("/page/a", nonsense, STATE)
        await one.ask("/page/b")
    assert one.proxy._tracing is None
    assert one.origin.sent(b"traceparent") == [b"hello", None]
    assert one.origin.sent(b"tracestate") == [b"k=v", None]
    assert "trace_id" not in one.lines()[0]


class Kept:
    """Keeps the spans that ended, with when their timers began."""

    def __init__(self):
        self.spans = []
        self.opened = False

    def open(self):
        self.opened = True

    def export(self, span, epoch):
        self.spans.append((span, epoch))

    async def close(self):
        self.opened = False


class Desk:
    """A Tracing whose ids count up."""

    def __init__(self, share=0.0):
        self.kept, self.clock = Kept(), FakeClock(wall=1000.0, timer=100.0)
        self.given = 0
        self.tracing = Tracing(self.kept, self.clock, self.bits, share=share, upstream={})

    def bits(self, _):
        self.given += 1
        return self.given


async def test_a_span_begins_when_its_timer_says_by_the_wall_clock():
    desk = Desk(share=1.0)

    async def serve(request, way, refused):
        line = LogLine("id", "GET", "/", desk.clock.timer())
        desk.clock.advance(3)
        line.close(desk.clock.timer())
        desk.tracing.request(line)

    await desk.tracing.around(serve)(Request("GET", b"/"), None)
    ((span, epoch),) = desk.kept.spans
    assert (span.began + epoch, span.ended + epoch) == (1000.0, 1003.0)


async def test_each_sending_of_a_call_is_a_span():
    desk, call = Desk(), Call()
    engine = FakeEngine(UpstreamReset("lost"), answer(b"ok"))
    upstream = Upstream(
        engine,
        unlimited(desk.clock, LineKeeper()),
        desk.clock,
        desk.tracing.upstream_call,
        VIA,
        host=None,
        trace=desk.tracing.outgoing,
    )
    response = await upstream.send(Request("GET", b"/"), "id", call)
    assert [chunk async for chunk in response.body] == [b"ok"]
    (lost, _), (sent, _) = desk.kept.spans
    assert [span.attributes.get("http.request.resend_count") for span in (lost, sent)] == [None, 1]
    assert [lost.failed, sent.failed] == [True, False]
    assert [parent_of(request.headers) for request in engine.requests] == [lost.context, sent.context]


async def test_what_no_request_led_to_is_a_trace_of_its_own():
    desk = Desk()
    call = Call()
    desk.tracing.outgoing(Request("GET", b"/"), call)
    desk.tracing.upstream_call(call, "id")
    ((span, _),) = desk.kept.spans
    assert (span.parent, span.links) == (None, ())


async def test_one_request_leaves_nothing_to_the_next_of_its_task():
    desk = Desk(share=1.0)

    async def serve(request, way, refused):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await desk.tracing.around(serve)(Request("GET", b"/"), None)
    line = LogLine("id", "GET", "/", 0.0)
    desk.tracing.request(line)
    assert (line.trace_id, desk.kept.spans) == (None, [])


async def test_no_id_is_all_zeros():
    desk = Desk()
    desk.tracing._bits = lambda _: 0
    call = Call()
    sent = desk.tracing.outgoing(Request("GET", b"/"), call)
    assert parent_of(sent.headers) == call.span.context


async def test_opening_and_closing_are_the_exporters():
    desk = Desk()
    desk.tracing.open()
    assert desk.kept.opened
    await desk.tracing.close()
    assert not desk.kept.opened
