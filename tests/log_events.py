"""One flat line of each kind, as the log itself makes them."""

from typing import Any

from fakes import FakeClock

from proxy.core.log_line import Call, LogLine
from proxy.core.types import Outcome
from proxy.log import Log


class Kept:
    """A format that writes nothing and keeps the fields."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def render(self, fields: Any) -> bytes:
        self.events.append(dict(fields))
        return b""


class Gone:
    """A place that keeps nothing, and is not nowhere: what goes there is rendered."""

    def write(self, batch: bytes) -> int:
        return len(batch)

    def reopen(self) -> None:
        pass

    def close(self) -> None:
        pass


def line(**more: Any) -> LogLine:
    """Return a line in which no field is missing."""
    call = Call("POST", "/query", 200, 101.5, 0.25, 102.0, 142.5, 77, 12, 0.002, None, 1, queue_s=0.5)
    known: dict[str, Any] = {
        "call": call, "client_ip": "192.0.2.7", "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "span_id": "00f067aa0ba902b7", "status": 200, "rule": "query",
        "outcome": Outcome.MISS, "reason": "no_ttl", "would": Outcome.HIT, "would_reason": "no_ttl", "would_save_s": 40.5,
        "would_differ": False, "error": "timeout", "error_source": "upstream", "key_hash": "c0ffee", "age_s": 3.5,
        "ttl_s": 60.0, "parts": 3, "parts_hit": 2, "arm": "candidate", "merge_s": 0.001, "flight": "lead",
        "translated": True, "bytes_in": 12, "bytes_out": 77, "normalize_s": 0.0004, "lookup_s": 0.0006, "send_s": 0.003,
        "duration_s": 41.2, "first_byte": 102.25, "cost": 50.0,
    }  # fmt: skip
    return LogLine("0123456789abcdef0123456789abcdef", "POST", "/query", 101.0, **{**known, **more})


def _events() -> dict[str, dict[str, Any]]:
    kept = Kept()
    log = Log(kept, Gone(), FakeClock())
    log.request(line())
    log.request(line(outcome=Outcome.HIT, error=None, error_source=None, call=None))
    log.request(line(), "job")
    log.upstream_call(Call("POST", "/query", 200, 101.5, 0.25, 102.0, 142.5, 77, 12), line().request_id)
    log.upstream_call(Call("GET", "/a", None, 101.5, ended=102.5, error="timeout"), line().request_id)
    told = log.events
    told.info("ready", url="http://127.0.0.1:8080", upstream="http://legacy:8000", rules=3, workers=1)
    told.warning("config", message="the config was reloaded", mode="on", rolled_out=["query"], after_restart=["store"])
    told.info(
        "decision", rule="query", request_id="ab" * 16, path="$.a[0]", control="number", candidate="text", clean=60
    )
    told.info("decision", rule="query", feature="split", percent=25.0, mismatch_gate="pass", mismatch_value=0.0)
    told.info("purge", client_ip="192.0.2.7", what="url", soft=False, path="/query", held=2)
    told.info("bypass", client_ip="192.0.2.7", on=True)
    told.warning("dropped", count=7)
    told.error("error", error="ValueError('no')", where="/srv/proxy/serve.py:42", request_id="cd" * 16)
    told.warning("error", logger="aiohttp.client", message="unclosed")
    told.info("another", of="a later release", method="none", status="odd", duration_s="long")
    log.close()
    names = (
        "request", "hit", "job", "upstream_call", "failed call", "ready", "config", "decision of a difference",
        "decision of the gates", "purge", "bypass", "dropped", "error", "error of a library", "another",
    )  # fmt: skip
    return dict(zip(names, kept.events, strict=True))


EVENTS = _events()


def leaves(tree: Any, path: tuple[str, ...] = ()) -> list[tuple[str, Any]]:
    """Return what a tree of mappings holds, by dotted names; lists are leaves."""
    if not isinstance(tree, dict):
        return [(".".join(path), tree)]
    return [leaf for name, one in tree.items() for leaf in leaves(one, (*path, name))]
