"""The demo's legacy orchestrator: slow on purpose, honest about it, and it caches nothing.

`POST /orchestrator/query` takes `{"question": q}` or `{"questions": [q, …]}`; `request_id`, `timestamp` and `filters`
are ignored. `GET /search?q=` is as slow; `GET /health` and `GET /calls` (slow calls so far) are instant.

What a call costs, in seconds before `--scale`, depends on `--seed` and on what is asked, not on how it is spelled:

- a question by itself is a full query: a total drawn evenly from 40 … 69 s; 10 s (a) of it are the start of any call,
  the rest are four steps of b seconds each;
- a list of n questions is one step for each, a + b·n with every question's own b: four are a full query again, with a
  total in 40 … 69 s.

`took_s` in an answer is that question's share and `start_s` the start of the call; together they are what was slept.
Calls do not wait for each other. One process serves all, so that `/calls` counts everything.
"""

import argparse
import asyncio
import hashlib
import json
import socket
import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

CHEAPEST_S, DEAREST_S = 40.0, 69.0
START_S = 10.0
STEPS = 4
MOST_QUESTIONS = 64
SOURCES = ("the archive", "the ticket history", "the data warehouse", "the wiki", "the old mainframe")

Sleep = Callable[[float], Awaitable[None]]


class QuestionError(ValueError):
    """The request asks nothing that can be answered."""


def meaning(question: str) -> str:
    """Return a question as the service understands it: NFC, trimmed, blanks collapsed; case counts."""
    return " ".join(unicodedata.normalize("NFC", question).split())


def roll(seed: int, question: str, salt: str = "cost") -> float:
    """Return the dice in [0, 1) that `seed` and the meaning of a question have thrown once and for all."""
    digest = hashlib.blake2b(json.dumps([seed, salt, meaning(question)]).encode(), digest_size=6).digest()
    return int.from_bytes(digest) / 2**48


def full_s(seed: int, question: str) -> float:
    """Return what a question by itself costs, in seconds before scaling."""
    return round(CHEAPEST_S + (DEAREST_S - CHEAPEST_S) * roll(seed, question), 3)


def step_s(seed: int, question: str) -> float:
    """Return what a question adds to a list of questions, in seconds before scaling."""
    return (full_s(seed, question) - START_S) / STEPS


def answer(seed: int, question: str) -> str:
    """Return the one answer a question has."""
    source = SOURCES[int(roll(seed, question, "source") * len(SOURCES))]
    return f"{source} says {int(roll(seed, question, 'answer') * 1_000_000)}"


def asked(body: bytes) -> tuple[list[str], bool]:
    """Return the questions of a query body by their meaning, and whether they came as a list; raises QuestionError."""
    try:
        query = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise QuestionError("the body is not JSON") from error
    if not isinstance(query, dict) or ("question" in query) == ("questions" in query):
        raise QuestionError("send an object with either question or questions")
    listed = "questions" in query
    questions = query["questions"] if listed else [query["question"]]
    if not isinstance(questions, list) or not 1 <= len(questions) <= MOST_QUESTIONS:
        raise QuestionError(f"questions must be a list of 1 to {MOST_QUESTIONS} texts")
    return [understood(question) for question in questions], listed


def understood(question: object) -> str:
    """Return the meaning of one question; raises QuestionError where there is none."""
    if not isinstance(question, str) or not meaning(question):
        raise QuestionError("a question must be a text that is not blank")
    try:
        question.encode()
    except UnicodeEncodeError as error:
        raise QuestionError("a question must be valid Unicode") from error
    return meaning(question)


class Orchestrator:
    """The service: what it costs, what it answers, and how many slow calls it has served."""

    def __init__(self, seed: int, scale: float, sleep: Sleep) -> None:
        self.seed = seed
        self.scale = scale
        self.sleep = sleep
        self.calls = 0

    async def query(self, request: Request) -> JSONResponse:
        """Answer one question or several."""
        questions, listed = asked(await request.body())
        steps = 1 if listed else STEPS
        costs = [steps * step_s(self.seed, question) for question in questions]
        start_s = await self._work(costs, request)
        answers = [
            {"q": question, "answer": answer(self.seed, question), "took_s": self._scaled(cost)}
            for question, cost in zip(questions, costs, strict=True)
        ]
        return JSONResponse({"answers": answers, "start_s": start_s})

    async def search(self, request: Request) -> JSONResponse:
        """Find something for `q`."""
        question = understood(request.query_params.get("q", ""))
        cost = STEPS * step_s(self.seed, question)
        start_s = await self._work([cost], request)
        found = [answer(self.seed, f"{question} {place}") for place in ("first", "second", "third")]
        return JSONResponse({"q": question, "results": found, "took_s": self._scaled(cost), "start_s": start_s})

    async def health(self, _: Request) -> JSONResponse:
        """Say at once that the service is there."""
        return JSONResponse({"status": "ok"})

    async def count(self, _: Request) -> JSONResponse:
        """Say at once how many slow calls were made."""
        return JSONResponse({"calls": self.calls})

    async def _work(self, costs: Sequence[float], request: Request) -> float:
        self.calls += "frontrunner-shadow" not in request.headers  # what only compares answers is no client's
        await self.sleep(self._scaled(START_S + sum(costs)))
        return self._scaled(START_S)

    def _scaled(self, cost: float) -> float:
        return round(cost * self.scale, 6)


async def _refuse(_: Request, error: Exception) -> JSONResponse:
    return JSONResponse({"error": str(error)}, 400)


def create_app(seed: int, scale: float, sleep: Sleep = asyncio.sleep) -> Starlette:
    """Make the service as an ASGI app; `sleep` takes seconds."""
    orchestrator = Orchestrator(seed, scale, sleep)
    routes = [
        Route("/orchestrator/query", orchestrator.query, methods=["POST"]),
        Route("/search", orchestrator.search),
        Route("/health", orchestrator.health),
        Route("/calls", orchestrator.count),
    ]
    return Starlette(routes=routes, exception_handlers={QuestionError: _refuse})


def main(arguments: list[str] | None = None) -> None:
    """Serve on 127.0.0.1 until SIGTERM; the first line on stdout is JSON with the URL."""
    import uvicorn

    parser = argparse.ArgumentParser(prog="python -m proxy.demo.service", description=__doc__.partition("\n")[0])
    parser.add_argument("--port", type=int, default=0, help="0 takes a free port")
    parser.add_argument("--scale", type=float, default=0.1, help="factor on all seconds")
    parser.add_argument("--seed", type=int, default=1, help="what the costs are drawn from")
    options = parser.parse_args(arguments)
    app = create_app(options.seed, options.scale)
    listener = socket.create_server(("127.0.0.1", options.port))
    # who reads the line may connect at once: the socket already listens
    ready: dict[str, Any] = {"event": "ready", "url": f"http://127.0.0.1:{listener.getsockname()[1]}"}
    print(json.dumps(ready), flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
