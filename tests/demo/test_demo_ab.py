"""The demo's last word: the A/B report on its own run, once its split answers were compared."""

import json
from functools import partial

import httpx2
import pytest

from proxy.core.ab_report import report as made
from proxy.core.rollout import Gates
from proxy.core.trial import CLEAN, PAIR, Trial
from proxy.demo import ab


class Desk:
    """A proxy that has compared one answer more at each look."""

    def __init__(self, dropped=0):
        self.looks, self.dropped = 0, dropped

    def __call__(self, request):
        assert (request.url.path, request.headers["authorization"]) == ("/_frontrunner/rollout/query", "Bearer t")
        trial = Trial(dropped={"running": self.dropped} if self.dropped else {})
        for _ in range(self.looks):
            trial.judged(PAIR, CLEAN)
        self.looks += 1
        status = {"mode": "on", "state": "running"}
        report = made("query", "split", trial, gates=Gates(), status=status, now=0.0, version="0", config_hash="")
        return httpx2.Response(200, content=json.dumps({"split": {"checks": trial.checks, "report": report}}))


@pytest.fixture
def look(monkeypatch):
    def look(desk, patience_s=10.0):
        client = partial(httpx2.Client, transport=httpx2.MockTransport(desk))
        monkeypatch.setattr("proxy.demo.ab.httpx2.Client", client)
        waited = []
        return ab.report("http://proxy", "t", 2, patience_s, waited.append), waited

    return look


def test_it_waits_until_its_split_answers_were_compared(look):
    told, waited = look(Desk())
    assert told.startswith("hold: 2 pairs agree, 58 more are needed")
    assert waited == [ab.LOOK_S] * 2


def test_a_comparison_that_was_not_made_is_not_waited_for(look):
    told, waited = look(Desk(dropped=1))
    assert told.startswith("hold: 1 pair agrees")
    assert len(waited) == 1


def test_it_does_not_wait_for_ever(look):
    told, waited = look(Desk(), patience_s=ab.LOOK_S)
    assert told.startswith("hold: 1 pair agrees")
    assert len(waited) == 1
