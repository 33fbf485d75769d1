"""How the upstream is asked: one contract for every engine.

An engine sends a Request exactly as it is – its target and its fields byte by byte, its body as it arrives – and
returns the Response as soon as its head is there; the body streams. It follows no redirect, keeps no cookie, decodes
nothing, retries nothing and adds no field beyond framing. Bytes that an upstream sends beyond its answer never become
the answer to another request. To add an engine: a file here, named like its word in the config, and its line in the
contract suite `tests/upstream/test_engine_contract.py`.
"""

from typing import Protocol

from proxy.core.types import Request, Response


class Engine(Protocol):
    """Sends requests to one upstream."""

    async def send(self, request: Request, *, fresh: bool = False) -> Response:
        """Send a request and return its response head with the body still arriving; `fresh`: on a new connection.

        Cancelling it, or closing the body early, ends the call upstream. Raises UpstreamRefused, UpstreamReset,
        UpstreamInvalid, UpstreamTimeout (connecting only), and what the request's own body raises (ClientGone, Refusal); the response's
        body raises UpstreamCut where it ends early.
        """
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
