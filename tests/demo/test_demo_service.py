"""The slow service costs what it says, by meaning and not by spelling, and answers everything the same way twice."""

import json
import signal
import subprocess
import sys
import unicodedata

import httpx2
import pytest

from proxy.demo.service import CHEAPEST_S, DEAREST_S, START_S, STEPS, create_app, full_s, step_s

CAFE = "Which café is open?"
SPELLINGS = {
    "as it is": CAFE,
    "decomposed": unicodedata.normalize("NFD", CAFE),
    "blanks": "  Which   café\tis\nopen? ",
}
BAD = {
    "no body": b"",
    "no JSON": b"{",
    "no UTF-8": b'{"question": "\xff"}',
    "too deep": b"[" * 100_000,
    "huge number": b'{"question": ' + b"9" * 5000 + b"}",
    "no object": b'["why?"]',
    "nothing asked": b'{"request_id": 1}',
    "both forms": b'{"question": "a", "questions": ["b"]}',
    "no text": b'{"question": 1}',
    "blank": b'{"question": " \\n"}',
    "lone surrogate": b'{"question": "\\ud800"}',
    "empty list": b'{"questions": []}',
    "no list": b'{"questions": "why?"}',
    "one of them is no text": b'{"questions": ["why?", null]}',
    "too many": json.dumps({"questions": ["why?"] * 65}).encode(),
}


class Service:
    """The service in this process, with a sleep that only notes its seconds."""

    def __init__(self, seed=1, scale=1.0):
        self.slept = []
        transport = httpx2.ASGITransport(create_app(seed, scale, self.sleep))
        self.client = httpx2.AsyncClient(transport=transport, base_url="http://service")

    async def sleep(self, seconds):
        self.slept.append(seconds)

    async def ask(self, **query):
        return await self.client.post("/orchestrator/query", json=query)

    async def calls(self):
        return (await self.client.get("/calls")).json()["calls"]


async def test_a_question_costs_40_to_69_seconds_and_is_really_waited_for():
    service = Service()
    for number in range(50):
        await service.ask(question=f"question {number}")
    assert all(CHEAPEST_S <= seconds <= DEAREST_S for seconds in service.slept)
    assert max(service.slept) - min(service.slept) > 20
    assert await service.calls() == 50


@pytest.mark.parametrize("spelling", SPELLINGS.values(), ids=SPELLINGS)
async def test_the_spelling_changes_neither_cost_nor_answer(spelling):
    service = Service()
    first = await service.ask(question=CAFE)
    again = await service.ask(question=spelling, request_id="x", timestamp=1, filters={"a": 1})
    assert again.content == first.content
    assert service.slept[0] == service.slept[1]
    assert await service.calls() == 2, "it caches nothing"


async def test_another_question_another_case_and_another_seed_cost_something_else():
    service, other = Service(), Service(seed=2)
    for question in (CAFE, CAFE.lower(), "Why?"):
        await service.ask(question=question)
    await other.ask(question=CAFE)
    assert len({*service.slept, *other.slept}) == 4


@pytest.mark.parametrize("questions", [["a"], ["a", "b"], ["a", "b", "c", "d"], ["a", "a"]])
async def test_a_list_costs_a_start_and_a_step_for_each_question(questions):
    service = Service(seed=5, scale=0.1)
    answer = (await service.ask(questions=questions)).json()
    assert service.slept == [pytest.approx(0.1 * (START_S + sum(step_s(5, question) for question in questions)))]
    assert answer["start_s"] + sum(each["took_s"] for each in answer["answers"]) == pytest.approx(service.slept[0])
    assert [each["q"] for each in answer["answers"]] == questions


async def test_four_questions_are_a_full_query():
    service = Service()
    for number in range(50):
        await service.ask(questions=[f"{number} {part}" for part in "abcd"])
    assert all(CHEAPEST_S <= seconds <= DEAREST_S for seconds in service.slept)


async def test_an_answer_does_not_depend_on_what_else_is_asked():
    service = Service()
    together = (await service.ask(questions=["a", "b"])).json()["answers"]
    apart = [(await service.ask(questions=[question])).json()["answers"][0] for question in ("a", "b")]
    assert together == apart
    alone = (await service.ask(question="a")).json()["answers"][0]
    assert alone["answer"] == together[0]["answer"]
    assert alone["took_s"] == pytest.approx(STEPS * together[0]["took_s"])


async def test_search_is_as_slow_and_as_steady():
    service = Service()
    first = await service.client.get("/search", params={"q": "old invoices"})
    again = await service.client.get("/search?utm_source=x&q=old++invoices")
    assert first.content == again.content
    assert len(first.json()["results"]) == 3
    assert service.slept == [pytest.approx(full_s(1, "old invoices"))] * 2


@pytest.mark.parametrize("body", BAD.values(), ids=BAD)
async def test_bad_input_is_refused_at_once_as_json(body):
    service = Service()
    answer = await service.client.post("/orchestrator/query", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]
    assert service.slept == []
    assert await service.calls() == 0


async def test_a_search_for_nothing_is_refused():
    service = Service()
    answer = await service.client.get("/search")
    assert (answer.status_code, service.slept) == (400, [])


async def test_what_only_compares_answers_is_no_clients_call():
    service = Service()
    await service.client.post("/orchestrator/query", json={"question": "why?"}, headers={"Frontrunner-Shadow": "1"})
    assert (len(service.slept), await service.calls()) == (1, 0)


async def test_health_is_instant_and_costs_no_call():
    service = Service()
    assert (await service.client.get("/health")).json() == {"status": "ok"}
    assert (service.slept, await service.calls()) == ([], 0)


def test_as_a_process_it_prints_its_url_first_and_ends_on_sigterm():
    arguments = [sys.executable, "-m", "proxy.demo.service", "--port", "0", "--scale", "0.001", "--seed", "9"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        try:
            ready = json.loads(running.stdout.readline())
            assert ready["event"] == "ready"
            with httpx2.Client(base_url=ready["url"], trust_env=False) as client:
                answer = client.post("/orchestrator/query", json={"question": CAFE})
                assert answer.elapsed.total_seconds() >= 0.001 * full_s(9, CAFE)
                assert client.get("/calls").json() == {"calls": 1}
            running.send_signal(signal.SIGTERM)
            assert running.wait(5) in {0, -signal.SIGTERM}
            assert (running.stdout.read(), running.stderr.read()) == (b"", b"")
        finally:
            running.kill()
