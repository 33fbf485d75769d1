"""Traces of the running proxy: our own server, two workers, keep-alive connections, and a stop that loses nothing."""

import asyncio

import pytest
from collector_stand import CollectorStand
from running import Proxy
from wire import Client, RawUpstream, asked, reply

from proxy.core.trace_context import parent_of

RULES = [{"name": "kept", "match": {"path": "/kept/**"}, "ttl": "1h"}]


def config(upstream, collector):
    return {
        "upstream": upstream.url, "rules": RULES, "workers": 2, "admin": {"token": "${FRONTRUNNER_TOKEN}"},
        "tracing": {"to": collector, "sample": "100%"},
    }  # fmt: skip


@pytest.mark.parametrize("connections", [1, 4])
async def test_each_request_on_a_connection_is_a_trace(connections, tmp_path):
    with CollectorStand() as collector:
        async with RawUpstream(reply(200, b"ok")) as upstream:
            proxy = Proxy(config(upstream, collector.url), tmp_path).start()

            async def client(number):
                async with await Client.to(proxy.port) as one:
                    for place in range(5):
                        await one.ask(asked(b"GET", b"/kept/%d/%d" % (number, place)))

            await asyncio.gather(*[client(number) for number in range(connections)])
            proxy.stop()
            requests, calls = collector.of("SERVER"), collector.of("CLIENT")
            assert len(requests) == len(calls) == 5 * connections
            assert len({span.trace_id for span in requests}) == 5 * connections
            by_trace = {span.trace_id: span for span in requests}
            for call in calls:
                assert call.parent == by_trace[call.trace_id].span_id
                assert call.attributes["url.path"] == by_trace[call.trace_id].attributes["url.path"]
            sent = [parent_of(exchange.fields) for exchange in upstream.exchanges]
            assert {one.span_id for one in sent} == {call.span_id for call in calls}
            logged = {(line["trace_id"], line["span_id"]) for line in proxy.found(event="request")}
            assert logged == {(span.trace_id, span.span_id) for span in requests}


async def test_a_collector_that_is_not_there_is_one_line_in_the_log(tmp_path, monkeypatch):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "0.2")
    with CollectorStand() as gone:
        nowhere = gone.url
    async with RawUpstream(reply(200, b"ok")) as upstream:
        proxy = Proxy(config(upstream, nowhere) | {"workers": 1}, tmp_path).start()
        for number in range(50):
            answer = await proxy.ask("GET", f"/kept/{number}")
            assert answer.body == b"ok"
        (told,) = await proxy.lines(event="tracing")
        proxy.stop()
    assert (told["level"], told["collector"], told["taken"]) == ("warning", nowhere, False)
    assert proxy.found(event="error") == []
    assert len(proxy.found(event="tracing")) == 1
