"""The story measures both ways, counts calls where they are made, and compares answers byte for byte."""

import itertools
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from proxy.demo.service import meaning
from proxy.demo.story import ANOTHER_QUESTION, QUESTION, QUESTIONS, Stage, spellings, together, total

NAMES = ["first ask", "same ask, other spelling", "four questions at once", "four, three known before"]


class Fake(ThreadingHTTPServer):
    """A service, or a proxy before one that remembers each question that it asked there."""

    def __init__(self, service=None, answer=b'{"answers": []}', status=200):
        super().__init__(("127.0.0.1", 0), Answering)
        self.service, self.answer, self.status = service, answer, status
        self.calls = 0
        self.known = set()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}"

    def post(self, body):
        query = json.loads(body)
        questions = {meaning(question) for question in query.get("questions") or [query["question"]]}
        if self.service is None:
            self.calls += 1
        else:
            self.service.calls += len(questions - self.known)
            self.known |= questions
        return self.status, self.answer

    def get(self, path):
        return 200, json.dumps({"calls": self.calls} if path == "/calls" else {}).encode()


class Answering(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.reply(*self.server.post(self.rfile.read(int(self.headers["Content-Length"]))))

    def do_GET(self):
        self.reply(*self.server.get(self.path))

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(fake):
    thread = threading.Thread(target=fake.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield fake
    finally:
        fake.shutdown()
        thread.join()
        fake.server_close()


@contextmanager
def pair(**proxy):
    with serving(Fake()) as service, serving(Fake(service, **proxy)) as through:
        yield service, through


def test_every_step_is_asked_both_ways_and_its_calls_are_counted_at_the_service():
    with pair() as (service, through):
        steps = Stage(service.url, through.url).play()
    assert [step.name for step in steps] == NAMES
    assert [(step.direct.calls, step.proxied.calls) for step in steps] == [(1, 1), (1, 0), (1, 4), (1, 1)]
    assert all(step.equal for step in steps)


def test_the_seconds_are_the_clients_own():
    ticks = itertools.accumulate([0.0, 5.0, 1.0, 4.0, 1.0, 3.0, 1.0, 0.5, 1.0, 6.0, 1.0, 2.0, 1.0, 5.0, 1.0, 1.0])
    with pair() as (service, through):
        steps = Stage(service.url, through.url, clock=lambda: next(ticks)).play()
    assert [(step.direct.seconds, step.proxied.seconds) for step in steps] == [
        (5.0, 4.0), (3.0, 0.5), (6.0, 2.0), (5.0, 1.0),
    ]  # fmt: skip
    assert total(steps) == (19.0, 7.5, 4, 6)


def test_who_watches_is_told_each_moment_and_what_it_took():
    seen = []

    @contextmanager
    def watch(name):
        seen.append(name)
        yield seen.append

    ticks = itertools.count()
    with pair() as (service, through):
        Stage(service.url, through.url, watch, lambda: float(next(ticks))).play()
    assert seen == [one for name in NAMES for one in (f"{name}, directly", 1.0, f"{name}, through the proxy", 1.0)]


def test_after_a_restart_it_is_asked_once_more_through_the_proxy_only():
    with pair() as (service, through), serving(Fake(service)) as started_again:
        started_again.known.add(meaning(QUESTION))
        stage = Stage(service.url, through.url)
        steps = stage.play()
        last = stage.play_on(started_again.url, steps[0])
    assert (last.name, last.direct) == ("first ask, after restart", steps[0].direct)
    assert (last.proxied.calls, last.equal, service.calls) == (0, True, 10)


def test_one_different_byte_is_seen():
    with pair(answer=b'{"answers":[]}') as (service, through):
        assert {step.equal for step in Stage(service.url, through.url).play()} == {False}


def test_an_error_answer_ends_the_story():
    with pair(status=502) as (service, through), pytest.raises(httpx2.HTTPStatusError, match="502"):
        Stage(service.url, through.url).play()


def test_nobody_there_ends_the_story():
    with serving(Fake()) as service:
        gone = Fake()
        gone.server_close()
        with pytest.raises(httpx2.ConnectError):
            Stage(service.url, gone.url).play()


@pytest.mark.parametrize("question", [QUESTION, ANOTHER_QUESTION])
def test_the_two_spellings_differ_in_all_that_does_not_matter_and_in_nothing_else(question):
    first, again = spellings(question)
    one, two = json.loads(first), json.loads(again)
    assert list(one) != list(two)
    assert one["question"] != two["question"]
    assert b"\\u" in again
    assert b"\\u" not in first
    assert one["request_id"] != two["request_id"]
    assert one["timestamp"] != two["timestamp"]
    assert meaning(one["question"]) == meaning(two["question"])
    assert one["filters"] == two["filters"]


def test_several_questions_are_asked_in_one_body_as_they_are():
    assert json.loads(together(QUESTIONS[:2]))["questions"] == list(QUESTIONS[:2])
    assert [meaning(question) for question in QUESTIONS] == list(QUESTIONS)
    assert len(set(QUESTIONS)) == 5
