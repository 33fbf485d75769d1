"""The demo's story: the same question in two spellings, then several in one ask, directly and through the proxy.

After a restart of the proxy the question is asked once more.
"""

import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from time import perf_counter
from unicodedata import normalize

import httpx2

QUESTION = "Which cafés in Zürich had the longest outages last year?"
ANOTHER_QUESTION = "How many orders from Málaga are still open?"
QUESTIONS = (
    "Which orders are late?",
    "Who is on call in March?",
    "What did Basel return last week?",
    "Which pumps want service?",
    "Why did line 4 stand still?",
)
"""Four that are asked at once, and one that is asked with three of them after that."""
PATH = "/orchestrator/query"
PATIENCE_S = 900.0

Watch = Callable[[str], AbstractContextManager[Callable[[float], object]]]
"""Told the name of each moment; entered when it begins, given the measured seconds, left when it ends."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One measured ask: the client's seconds, the slow calls it caused at the upstream, and what came back."""

    seconds: float
    calls: int
    status: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the story, asked both ways."""

    name: str
    direct: Ask
    proxied: Ask

    @property
    def equal(self) -> bool:
        """Return whether both ways gave the same answer, byte for byte."""
        return (self.direct.status, self.direct.body) == (self.proxied.status, self.proxied.body)


def spellings(question: str) -> tuple[bytes, bytes]:
    """Return two bodies that ask the same: other member order, blanks, Unicode form, request_id and timestamp."""
    first = {
        "request_id": "6f1c2a",
        "timestamp": "2025-03-01T09:00:00Z",
        "question": question,
        "filters": {"region": "EU", "language": "en"},
    }
    again = {
        "filters": {"language": "en", "region": "EU"},
        "question": "  " + normalize("NFD", question).replace(" ", "  "),
        "timestamp": "2025-03-01T09:04:31Z",
        "request_id": "b07e95",
    }
    return json.dumps(first, ensure_ascii=False).encode(), json.dumps(again, separators=(" , ", " : ")).encode()


def together(questions: Sequence[str]) -> bytes:
    """Return a body that asks several questions at once."""
    return json.dumps({"request_id": "41c99e", "questions": list(questions)}, ensure_ascii=False).encode()


def unwatched(_: str) -> AbstractContextManager[Callable[[float], object]]:
    """Show nothing."""
    return nullcontext(lambda _: None)


class Stage:
    """Both ways to the service, at which the same is asked; raises httpx2.HTTPError where one does not answer."""

    def __init__(
        self, direct: str, proxy: str, watch: Watch = unwatched, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._direct, self._proxy = direct, proxy
        self._watch = watch
        self._clock = clock

    def play(self) -> list[Step]:
        """Ask in two spellings, then several questions at once, both ways; return what was measured."""
        first, again = spellings(QUESTION)
        return [
            self._step("first ask", first),
            self._step("same ask, other spelling", again),
            self._step("four questions at once", together(QUESTIONS[:4])),
            self._step("four, three known before", together(QUESTIONS[:0:-1])),
        ]

    def play_on(self, proxy: str, before: Step) -> Step:
        """Ask what came `before` once more, through a proxy that was started again; directly it costs what it did."""
        self._proxy = proxy
        name = "first ask, after restart"
        return Step(name, before.direct, self._ask(proxy, spellings(QUESTION)[0], f"{name}, through the proxy"))

    def _step(self, name: str, body: bytes) -> Step:
        direct = self._ask(self._direct, body, f"{name}, directly")
        return Step(name, direct, self._ask(self._proxy, body, f"{name}, through the proxy"))

    def _ask(self, base: str, body: bytes, name: str) -> Ask:
        timeout = httpx2.Timeout(PATIENCE_S)
        with (
            httpx2.Client(base_url=self._direct, timeout=timeout, trust_env=False) as service,
            httpx2.Client(base_url=base, timeout=timeout, trust_env=False) as client,
        ):
            before = _calls(service)
            client.get("/health").raise_for_status()  # opens the connection, which is not what is measured
            with self._watch(name) as took:
                started = self._clock()
                answer = client.post(PATH, content=body, headers={"Content-Type": "application/json"})
                seconds = self._clock() - started
                took(seconds)
            answer.raise_for_status()
            return Ask(seconds, _calls(service) - before, answer.status_code, answer.content)


def total(steps: Sequence[Step]) -> tuple[float, float, int, int]:
    """Return seconds directly, seconds through the proxy, and slow calls both ways."""
    return (
        sum(step.direct.seconds for step in steps),
        sum(step.proxied.seconds for step in steps),
        sum(step.direct.calls for step in steps),
        sum(step.proxied.calls for step in steps),
    )


def _calls(service: httpx2.Client) -> int:
    return int(service.get("/calls").raise_for_status().json()["calls"])
