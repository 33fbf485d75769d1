"""Where a job is read: what the desk passes on of what it is asked, and of what it is told."""

import pytest
from admin_desk import BEARER, PREFIX, Desk, Said
from fakes import FakeEngine, Held, answer, until
from world import asked, rule

MINE = {"authorization": "Basic bWU="}
COOKIES = ((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))


class JobsDesk(Desk):
    """A desk beside a road on which one job runs."""

    def __init__(self) -> None:
        self.held = Held(answer(b"0123456789", *COOKIES, (b"cache-control", b"no-store"), status=203))
        super().__init__(engine=FakeEngine(self.held), rules=(rule(private_by=(b"authorization",)),))
        self.path = ""

    async def begin(self) -> "JobsDesk":
        """Make the job."""
        fields = ((b"prefer", b"respond-async"), (b"authorization", b"Basic bWU="))
        told = await self.world.ask(asked("/kept/a", *fields))
        self.path = (told.header(b"location") or b"").decode()
        return self

    async def end(self) -> "JobsDesk":
        """Let it end."""
        self.held.go.set()
        await until(lambda: self.world.ended)
        return self

    async def said(self, headers: dict[str, str] | None = None, method: str = "GET") -> Said:
        said = await self.ask(self.path, MINE if headers is None else headers, method=method)
        assert said is not None
        return said


async def test_progress_and_then_the_answer_with_every_field_it_came_with() -> None:
    desk = await JobsDesk().begin()
    running = await desk.said()
    assert (running.status, running.json()["state"], running.json()["url"]) == (200, "running", desk.path)
    assert desk.path.startswith(f"{PREFIX}/jobs/")
    done = await (await desk.end()).said()
    assert (done.status, done.body) == (203, b"0123456789")
    assert [value for name, value in done.headers if name == "set-cookie"] == ["a=1", "b=2"]
    assert [value for name, value in done.headers if name == "content-length"] == ["10"]


async def test_the_head_of_the_answer() -> None:
    desk = await (await JobsDesk().begin()).end()
    head = await desk.said(method="HEAD")
    assert (head.status, head.body, head.header("content-length")) == (203, b"", "10")


@pytest.mark.parametrize("ended", [False, True])
async def test_the_token_opens_no_job(ended: bool) -> None:
    desk = await JobsDesk().begin()
    if ended:
        await desk.end()
    for wrong in ({}, BEARER, MINE | {"cookie": "a=1"}):
        for method in ("GET", "HEAD", "DELETE"):
            refused = await desk.said(wrong, method)
            assert (refused.status, refused.header("content-type")) == (401, "application/problem+json")
            assert refused.header("www-authenticate") == 'Bearer realm="frontrunner jobs"'
            assert refused.header("cache-control") == "no-store"
    assert (await desk.said()).status == (203 if ended else 200)


async def test_whoever_made_it_may_forget_it() -> None:
    desk = await (await JobsDesk().begin()).end()
    gone = await desk.said(method="DELETE")
    assert (gone.status, gone.body) == (204, b"")
    assert [(await desk.said(method=method)).status for method in ("GET", "DELETE")] == [404, 404]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "OPTIONS"])
async def test_what_may_not_be_done(method: str) -> None:
    refused = await (await JobsDesk().begin()).said(method=method)
    assert (refused.status, refused.header("allow")) == (405, "DELETE, GET, HEAD")
