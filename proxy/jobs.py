"""`Prefer: respond-async` and `wait`: an answer that its client does not wait for becomes a job, read where its URL says.

Until its URL is told, an answer under way is its client's, and ends when that leaves. From then on it is a job: it goes
on to its end whoever leaves, and any process of this proxy tells how far it is (`shelf.py`).
"""

import asyncio
import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, fields, replace

from proxy.arrival import Arrival
from proxy.asked import Asked
from proxy.clock import Clock
from proxy.core.http_date import render as http_date
from proxy.core.job import (
    Progress,
    accepted,
    credential_names,
    delivered,
    is_id,
    place_of,
    result_of,
    who_asks,
)
from proxy.core.log_line import LogLine
from proxy.core.prefer import Wish
from proxy.core.reasons import Reason
from proxy.core.types import Outcome, Request, Response
from proxy.errors import FrontrunnerError, Refusal, UpstreamError, UpstreamTimeout, WaitOver
from proxy.shelf import Shelf
from proxy.tasks import Tasks
from proxy.upstream.call import UNLIMITED, Timeouts

MOST_JOBS = 1_000
"""That run at once in one process: beyond it, clients wait for their answers as ever."""
BEAT_S = 5.0
NOTED_AT_ONCE = 20
"""Others have their turn of the process between so many and the next."""

_LINE = tuple([one.name for one in fields(LogLine) if one.name not in {"after", "has_left", "left_by"}])


@dataclass(frozen=True, slots=True)
class Road:
    """How an answer is made: `answer` it, calling back before the upstream's time is taken; sign it; tell an error."""

    answer: Callable[[Asked, Callable[[], None]], Awaitable[Response]]
    signed: Callable[[Response, LogLine], Response]
    told: Callable[[Exception, LogLine], Response]


class _Job:
    """One answer under way; `line` is its own: that of its client is written when that has its 202."""

    def __init__(self, asked: Asked, began: float) -> None:
        self.line = replace(asked.line)
        self.asked = replace(asked, line=self.line)
        self.id = secrets.token_hex(16)
        self.place = place_of(self.id)
        self.began = began
        self.names = credential_names(asked.rule.private_by)
        self.who = who_asks(asked.client.headers, self.names, self.id)
        self.is_told = False
        self.deadline = asyncio.timeout(None)
        self.head: Response | None = None
        self.error: Exception | None = None
        self.waits = asyncio.Event()
        self.landed = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    def begin(self, task: asyncio.Task[None]) -> None:
        """Remember the task that answers; one that is cancelled before its first step lands all the same."""
        self.task = task
        task.add_done_callback(self._ended)

    def _ended(self, _: object) -> None:
        if not self.landed.is_set():
            self.land(None)

    def land(self, head: Response | None, error: Exception | None = None) -> None:
        """Let its client know that the head is there, or that there will be none."""
        self.head, self.error = head, error
        self.waits.set()
        self.landed.set()

    def taken(self) -> Response:
        """Return the head; raises what there is instead."""
        if self.head is None:
            raise self.error or UpstreamError("the fetch was ended")
        return self.head

    async def drop(self) -> None:
        """End it: the only one who knew of it has left."""
        if self.task is not None:
            self.task.cancel()
        if self.head is not None and not isinstance(self.head.body, bytes):
            await self.head.body.aclose()

    def progress(self) -> Progress:
        """Return how far it is."""
        call = self.line.call
        names = tuple([name.decode("latin-1") for name in self.names])
        asked_at = call.asked_at if call is not None else 0.0
        return Progress(
            self.began,
            names,
            self.who,
            asked_at,
            self.line.expected_s,
            call.place if call is not None else None,
        )


class Jobs:
    """Runs jobs and tells of them; `prefix` is where, `tell` gets the line of each at its end, as event `job`."""

    def __init__(
        self,
        shelf: Shelf,
        tasks: Tasks,
        clock: Clock,
        prefix: str,
        *,
        timeouts: Timeouts = UNLIMITED,
        tell: Callable[[LogLine, str], None],
        failed: Callable[[BaseException, str], None],
    ) -> None:
        self._shelf = shelf
        self._tasks = tasks
        self._clock = clock
        self._prefix = prefix
        self._timeouts = timeouts
        self._tell = tell
        self._failed = failed
        self._running: dict[str, _Job] = {}
        self._tending: asyncio.Task[None] | None = None

    async def __call__(self, wish: Wish, asked: Asked, road: Road, watch: Callable[[], None]) -> Response:
        """Answer as ever if that takes no longer than the client waits, else tell where the answer will be.

        `watch` is called before anything that takes the upstream's time. Raises what the road raises, and WaitOver.
        """
        job = _Job(asked, self._clock.wall())
        job.begin(self._tasks.start(self._run(job, road)))
        try:
            await job.waits.wait()
            if not job.landed.is_set():
                watch()
                await self._wait(job, wish.patience_s)
            _copy(job.line, asked.line)
        except BaseException:
            job.line.leave()
            await job.drop()
            raise
        if job.landed.is_set():
            job.line.leave_by(asked.line)
            return job.taken()
        return await self._told(job, wish, asked.line)

    async def _wait(self, job: _Job, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await job.landed.wait()
        if len(self._running) >= MOST_JOBS:
            await job.landed.wait()

    async def _told(self, job: _Job, wish: Wish, line: LogLine) -> Response:
        """Make an answer under way a job, and tell its client where it is."""
        job.is_told = True
        if self._timeouts.first_byte is not None:
            # a client that waits says itself when it has waited enough, where its request passes; nobody says so of a job.
            # Before its turn upstream it may wait as long again.
            job.deadline.reschedule(asyncio.get_running_loop().time() + 2 * self._timeouts.first_byte)
        self._running[job.id] = job
        if self._tending is None or self._tending.done():
            self._tending = self._tasks.start(self._tend())
        if line.call is not None:  # what it costs upstream is told by the job's own line
            line.call = replace(line.call, ended=self._clock.timer(), sent=0, queue_s=None)
        await self._shelf.note(job.place, job.progress())
        now, url = self._clock.wall(), self._url(job.id)
        if not wish.respond_async:
            retry = job.progress().retry_after_s(now)
            waited = f"no answer within the {wish.patience_s:g} s that the client waits; it will be at `job`"
            raise WaitOver(Reason.WAIT_OVER, waited, url, retry)
        line.reason = Reason.RESPOND_ASYNC
        told = accepted(job.progress().answer(202, url, now), url)
        return replace(told, headers=(*told.headers, (b"date", http_date(now))))

    def _url(self, job_id: str) -> str:
        return f"{self._prefix}/jobs/{job_id}"

    async def _run(self, job: _Job, road: Road) -> None:
        """Answer; what became a job meanwhile goes on to its end, and leaves one line."""
        try:
            await self._land(job, road)
            if job.is_told:
                await self._keep(job, road)
        except asyncio.CancelledError:
            job.land(None)
            job.line.outcome, job.line.error_source = Outcome.ERROR, "proxy"
            job.line.error = job.line.reason = Reason.SHUTDOWN
            raise
        finally:
            if job.is_told:
                del self._running[job.id]
                job.line.close(self._clock.timer())
                self._tell(job.line, "job")

    async def _land(self, job: _Job, road: Road) -> None:
        try:
            async with job.deadline:
                head = await road.answer(job.asked, job.waits.set)
            job.land(head)
        except TimeoutError:
            job.land(None, UpstreamTimeout(f"no answer within {self._timeouts.first_byte} s"))
        except Exception as error:  # noqa: BLE001  whoever waits for it gets it
            job.land(None, error)

    async def _keep(self, job: _Job, road: Road) -> None:
        """Put a job's whole answer where its client finds it, or what it failed with."""
        line, rule = job.line, job.asked.rule
        arrival = Arrival(self._shelf, rule.max_object, self._timeouts.idle)
        try:
            head = job.taken()
            body = await arrival.read(head)
            response = road.signed(head, line)
        except Exception as error:  # noqa: BLE001
            if not isinstance(error, FrontrunnerError):
                self._failed(error, line.request_id)
            response = road.told(error, line)
            body = response.body if isinstance(response.body, bytes) else b""
        finally:
            arrival.give_back()
        line.status, line.bytes_out = response.status, len(body)
        result = result_of(response, body, job.progress(), line.rule or "", self._clock.wall())
        await self._shelf.put(job.place, result)

    async def _tend(self) -> None:
        """Renew what is told of the jobs that run, and let go of old answers, while there is any."""
        while self._running or len(self._shelf):
            await asyncio.sleep(BEAT_S)
            running = list(self._running.values())
            for first in range(0, len(running), NOTED_AT_ONCE):
                some = [job for job in running[first : first + NOTED_AT_ONCE] if job.id in self._running]
                await asyncio.gather(*[self._shelf.note(job.place, job.progress()) for job in some])
                await asyncio.sleep(0)
            await self._shelf.sweep()

    async def answer(self, request: Request, job_id: str) -> Response:
        """Answer who asks for a job: how far it is, or its answer; DELETE forgets that.

        Raises Refusal: 404 for a job that is not there (any more), 401 for who is not the one that made it.
        """
        place, now = place_of(job_id), self._clock.wall()
        result = await self._shelf.result(place) if is_id(job_id) else None
        progress = await self._progress(job_id, place) if is_id(job_id) and result is None else None
        if result is not None:
            _let_in(request, job_id, result.vary, result.tag)
        elif progress is not None:
            _let_in(request, job_id, [name.encode() for name in progress.names], progress.who.encode())
        if request.method == "DELETE" and (result or progress):
            await self._shelf.forget(place)
            return Response(204, ((b"cache-control", b"no-store"),))
        if result is not None:
            return delivered(request, result, now)
        if progress is not None:
            told = progress.answer(200, self._url(job_id), now)
            return replace(told, body=b"") if request.method == "HEAD" else told
        raise Refusal(404, Reason.UNKNOWN_NAME, "no such job: it was forgotten, is long over, or was lost")

    async def _progress(self, job_id: str, place: bytes) -> Progress | None:
        told, job = await self._shelf.progress(place), self._running.get(job_id)
        if job is None or await self._shelf.is_forgotten(place):
            return told
        return job.progress()


def _let_in(request: Request, job_id: str, names: Iterable[bytes], who: bytes) -> None:
    asks = who_asks(request.headers, names, job_id).encode()
    if not hmac.compare_digest(asks, who):
        raise Refusal(401, Reason.CREDENTIALS, "only with the credentials of the request that made this job")


def _copy(line: LogLine, to: LogLine) -> None:
    for name in _LINE:
        setattr(to, name, getattr(line, name))
