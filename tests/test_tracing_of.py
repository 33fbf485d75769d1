"""The tracing that a config asks for."""

import re
from pathlib import Path

import pytest
import yaml
from fakes import FakeClock

from proxy.config import from_mapping
from proxy.core.log_line import Call
from proxy.core.types import Request
from proxy.errors import ConfigError
from proxy.log_of import log_of
from proxy.tracing_of import tracing_of
from proxy.upstream.address import Address

GUIDE = Path(__file__).parent.parent / "proxy" / "docs" / "tracing.md"


def config(tracing, upstream="http://shop.test:81"):
    told = {} if tracing is None else {"tracing": tracing}
    return from_mapping({"upstream": upstream, "log": {"to": "off"}, **told}, {})


def made(tracing, upstream="http://shop.test:81"):
    wanted, clock = config(tracing, upstream), FakeClock()
    return tracing_of(wanted, Address.parse(wanted.upstream.url), "one", clock, log_of(wanted, clock))


def test_none_is_asked_for():
    assert made(None) is None


WAYS = {
    "in short": ("http://collector:4318", "http://collector:4318", 0.01, "frontrunner"),
    "in full": (
        {"to": "https://c/base", "sample": "100%", "service": "front"}, "https://c/base", 1.0, "front",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("written", "to", "sample", "service"), WAYS.values(), ids=WAYS)
def test_as_it_is_written(written, to, sample, service):
    wanted = config(written).tracing
    assert (wanted.to, wanted.sample, wanted.service) == (to, sample, service)


WRONG = {
    "no collector": ({}, "to is required"),
    "not a URL": ("collector:4318", "the URL of a collector, such as http://collector:4318"),
    "a socket": ({"to": "unix:/run/otel"}, "the URL of a collector"),
    "with credentials": ({"to": "http://me:secret@c"}, "the URL of a collector"),
    "no percentage": ({"to": "http://c", "sample": 0.01}, "a percentage from 0% to 100%, such as 1%"),
    "more than all": ({"to": "http://c", "sample": "101%"}, "a percentage from 0% to 100%"),
}


@pytest.mark.parametrize(("written", "allowed"), WRONG.values(), ids=WRONG)
def test_what_it_cannot_be(written, allowed):
    with pytest.raises(ConfigError, match=allowed):
        config(written)


def test_as_the_guide_writes_it():
    (written,) = re.findall("```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert config(yaml.safe_load(written)["tracing"]).tracing == config("http://collector:4318").tracing


UPSTREAMS = {
    "http://shop.test:81": {"server.address": "shop.test", "server.port": 81},
    "https://shop.test": {"server.address": "shop.test", "server.port": 443},
    "unix:/run/shop.sock": {"server.address": "/run/shop.sock"},
}


@pytest.mark.parametrize(("upstream", "told"), UPSTREAMS.items(), ids=UPSTREAMS)
def test_calls_say_where_they_went(upstream, told):
    assert made("http://collector:4318", upstream)._upstream == told


def test_no_two_processes_give_the_same_ids():
    ids = set()
    for _ in range(2):
        tracing, call = made("http://collector:4318"), Call()
        tracing.outgoing(Request("GET", b"/"), call)
        ids |= {call.span.context.trace_id, call.span.context.span_id}
    assert len(ids) == 4
