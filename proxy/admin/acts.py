"""The admin endpoints that do something: purge, bypass, explain."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from proxy.admin.problems import answer as problem
from proxy.bypass import Bypass
from proxy.core.explain import target_shown
from proxy.core.fault import fault
from proxy.core.reasons import Reason
from proxy.core.types import Outcome
from proxy.core.types import Request as ClientRequest
from proxy.explain import Explain
from proxy.purge import KINDS, Purge, Wanted, request_for

MOST_BYTES = 2**24
"""Of what an operator sends: a request to explain may have a long body."""
MOST_FINDINGS = 10
MOST_NAME_CHARS = 100


class Ask(BaseModel):
    """What an operator sends: a JSON object of known members."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Described(Ask):
    """A request, described."""

    method: str = "GET"
    url: str
    headers: dict[str, str] = {}
    body: str = ""

    def request(self, host: bytes) -> ClientRequest:
        """Return it as a client would send it, to `host` where it names none. Raises ValueError for what is no URL."""
        return request_for(self.method, self.url, self.headers, self.body.encode(), host)


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

    def wanted(self, host: bytes) -> Wanted:
        """Return it as a purge of what is asked of `host`, where a URL names none. Raises ValueError where it is not exactly one."""
        named = [kind for kind in KINDS if getattr(self, kind) is not None]
        if len(named) != 1:
            raise ValueError(f"exactly one of {', '.join(KINDS)} is wanted")
        kind = named[0]
        if kind == "group" and not self.host:
            raise ValueError("a group needs the host that it is of")
        if kind == "url":
            described = Described(method=self.method, url=self.url or "", headers=self.headers, body=self.body)
            return Wanted(kind, "", self.soft, described.request(host))
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
        return await self.told(request, Purging, self._purged)

    async def _purged(self, asked: Purging, sent: Request) -> dict[str, Any]:
        wanted = asked.wanted(_host(sent))
        by = client_ip(sent)
        done = {"what": wanted.kind, "soft": wanted.soft}
        if wanted.kind in {"rule", "key", "group"}:
            done["name"] = wanted.value
        elif wanted.request is not None:
            done["path"] = target_shown(wanted.request.path)  # no query: values stay out of the log
        try:
            held = await self._purge(wanted)
        except ValueError:
            raise  # there is nothing like that
        except Exception as error:
            self._audit("purge", client_ip=by, **done, failed=type(error).__name__)
            raise
        told = done if held is None else {**done, "held": held}
        self._audit("purge", client_ip=by, **told)
        return {"purged": True, **told}

    async def bypass(self, request: Request) -> Response:
        """Tell whether the bypass is on, or turn it."""
        if request.method in {"GET", "HEAD"}:
            return JSONResponse(self._switch())
        return await self.told(request, Turning, self._turned)

    async def _turned(self, asked: Turning, sent: Request) -> dict[str, Any]:
        self._bypass.turn(on=asked.on)
        self._audit("bypass", client_ip=client_ip(sent), on=self._bypass.on)
        return self._switch()

    def _switch(self) -> dict[str, Any]:
        """Return how the switch stands, and the file that is it: without one it is this process's own."""
        file = self._bypass.file
        return {"on": self._bypass.on, "file": None if file is None else str(file)}

    async def explain(self, request: Request) -> Response:
        """Explain the request that the JSON body describes."""
        return await self.told(request, Described, self._explained)

    async def _explained(self, asked: Described, sent: Request) -> dict[str, Any]:
        told = await self._explain(asked.request(_host(sent)))
        if self._bypass.on and "refused" not in told:
            told["would"] = {"outcome": Outcome.PASSTHROUGH, "do": "send it straight upstream", "reason": Reason.BYPASS}
        return told

    async def told(
        self, request: Request, kind: type[Asked], act: Callable[[Asked, Request], Awaitable[dict[str, Any]]]
    ) -> Response:
        """Run an act with the JSON that was sent, and tell what came of it: its ValueError is the client's mistake."""
        try:
            asked = kind.model_validate_json(await _body(request))
            return JSONResponse(await act(asked, request))
        except ValidationError as errors:
            return problem(request, 400, Reason.BAD_REQUEST, _findings(errors))
        except (ValueError, ClientDisconnect) as error:
            return problem(request, 400, Reason.BAD_REQUEST, str(error))
        except Exception as error:  # noqa: BLE001  whose message may name what nobody should read
            self._audit("error", level="error", error=fault(error))
            told = f"nothing is certain: {type(error).__name__}, the log has more"
            return problem(request, 500, Reason.INTERNAL, told)


def client_ip(request: Request) -> str:
    """Return who asks, for the log."""
    return request.client.host if request.client else ""


def _host(request: Request) -> bytes:
    """Return the Host by which the operator reaches the proxy: so do its clients, most likely."""
    return request.headers.get("host", "localhost").encode("latin-1")


def _findings(errors: ValidationError) -> str:
    """Return what is wrong with a body, without the values in it."""
    found = errors.errors(include_url=False, include_context=False, include_input=False)[:MOST_FINDINGS]
    told = [f"{'.'.join(map(str, one['loc']))[:MOST_NAME_CHARS] or 'the body'}: {one['msg']}" for one in found]
    return "; ".join(told)


async def _body(request: Request) -> bytes:
    chunks: list[bytes] = []
    left = MOST_BYTES
    async for chunk in request.stream():
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"more than {MOST_BYTES} bytes")
        chunks.append(chunk)
    return b"".join(chunks)
