"""The admin endpoints that do something: purge, bypass, explain."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from proxy.admin.problems import answer as problem
from proxy.bypass import Bypass
from proxy.core.reasons import Reason
from proxy.core.types import Request as ClientRequest
from proxy.explain import Explain
from proxy.purge import KINDS, Purge, Wanted, request_for

MOST_BYTES = 2**24
"""Of what an operator sends: a request to explain may have a long body."""


class Ask(BaseModel):
    """What an operator sends: a JSON object of known members."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Described(Ask):
    """A request, described."""

    method: str = "GET"
    url: str
    headers: dict[str, str] = {}
    body: str = ""

    def request(self) -> ClientRequest:
        """Return it as a client would send it. Raises ValueError for what is no URL."""
        return request_for(self.method, self.url, self.headers, self.body.encode())


class Purging(Ask):
    """What to purge: one of url, key, rule, group, all."""

    url: str | None = None
    key: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None
    rule: str | None = None
    group: str | None = None
    all: Literal[True] | None = None
    soft: bool = False
    method: str = "GET"
    headers: dict[str, str] = {}
    body: str = ""
    host: str = ""

    def wanted(self) -> Wanted:
        """Return it as a purge. Raises ValueError where it is not exactly one."""
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError(f"exactly one of {', '.join(KINDS)} is wanted")
        kind = named[0]
        if kind == "url":
            described = Described(method=self.method, url=self.url or "", headers=self.headers, body=self.body)
            return Wanted(kind, "", self.soft, described.request())
        value = f"{self.host.lower()} {self.group}" if kind == "group" else "" if kind == "all" else getattr(self, kind)
        return Wanted(kind, value, self.soft)


class Turning(Ask):
    """Whether the bypass is to be on."""

    on: bool


Asked = TypeVar("Asked", bound=Ask)

Audit = Callable[..., None]
"""Writes one event to the log: its name, and its fields as keywords."""


class Acts:
    """What operators may do; each act leaves its line in the log."""

    def __init__(self, purge: Purge, bypass: Bypass, explain: Explain, audit: Audit) -> None:
        self._purge = purge
        self._bypass = bypass
        self._explain = explain
        self._audit = audit

    @property
    def bypassed(self) -> bool:
        """Tell whether all requests pass through."""
        return self._bypass.on

    async def purge(self, request: Request) -> Response:
        """Purge what the JSON body names."""
        return await self._told(request, Purging, self._purged)

    async def _purged(self, asked: Purging, by: str) -> dict[str, Any]:
        wanted = asked.wanted()
        await self._purge(wanted)
        done = {"what": wanted.kind, "soft": wanted.soft}
        if wanted.kind in {"rule", "key", "group"}:
            done["name"] = wanted.value
        elif wanted.request is not None:
            done["path"] = wanted.request.path.decode(
                "utf-8", "backslashreplace"
            )  # no query: values stay out of the log
        self._audit("purge", client_ip=by, **done)
        return {"purged": True, **done}

    async def bypass(self, request: Request) -> Response:
        """Tell whether the bypass is on, or turn it."""
        if request.method in {"GET", "HEAD"}:
            return JSONResponse({"on": self._bypass.on})
        return await self._told(request, Turning, self._turned)

    async def _turned(self, asked: Turning, by: str) -> dict[str, Any]:
        self._bypass.turn(on=asked.on)
        self._audit("bypass", client_ip=by, on=self._bypass.on)
        return {"on": self._bypass.on}

    async def explain(self, request: Request) -> Response:
        """Explain the request that the JSON body describes."""
        return await self._told(request, Described, self._explained)

    async def _explained(self, asked: Described, _: str) -> dict[str, Any]:
        return await self._explain(asked.request())

    @staticmethod
    async def _told(
        request: Request, kind: type[Asked], act: Callable[[Asked, str], Awaitable[dict[str, Any]]]
    ) -> Response:
        """Run an act with the JSON that was sent, and tell what came of it."""
        try:
            asked = kind.model_validate_json(await _body(request))
            return JSONResponse(await act(asked, request.client.host if request.client else ""))
        except ValidationError as errors:
            told = [f"{'.'.join(map(str, one['loc'])) or 'the body'}: {one['msg']}" for one in errors.errors()]
            return problem(request, 400, Reason.BAD_REQUEST, "; ".join(told))
        except ValueError as error:
            return problem(request, 400, Reason.BAD_REQUEST, str(error))


async def _body(request: Request) -> bytes:
    chunks: list[bytes] = []
    left = MOST_BYTES
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
