"""Everything Frontrunner raises.

FrontrunnerError
├── ConfigError          a config file or option cannot be used; carries every finding
├── StartError           the process cannot start (port taken, upstream engine missing)
├── Fallback             not ours to accelerate: the original request goes upstream whole
├── Refusal              we answer in the upstream's place (400 401 404 408 414 431 501 503 504 507 508)
│   └── WaitOver         the client waits no longer; its answer is on its way to a job (504)
├── ClientGone           the client left before its answer was complete
├── SqliteError          the store's file is busy, full, broken or out of reach
└── UpstreamError        the upstream gave no complete answer
    ├── UpstreamRefused  no connection (502)
    ├── UpstreamReset    the connection ended before a response head (502)
    ├── UpstreamInvalid  what came back is not HTTP (502)
    ├── UpstreamTimeout  connect, first byte or idle time is over (504)
    ├── UpstreamBusy     no slot for one more call, now or in time (503)
    └── UpstreamCut      the body ended early: after the head nothing can be mended
"""

from dataclasses import dataclass


class FrontrunnerError(Exception):
    """The root of the tree; never raised itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing wrong in a config: where (file:line:column, path), what was found, what is allowed."""

    where: str
    path: str
    found: str
    allowed: str
    nearest: str = ""

    def __str__(self) -> str:
        """Render as one line."""
        hint = f"; did you mean {self.nearest}?" if self.nearest else ""
        place = f"{self.where}: {self.path}" if self.path else self.where
        return f"{place}: found {self.found}; allowed: {self.allowed}{hint}"


class ConfigError(FrontrunnerError):
    """A config cannot be used; `findings` holds all that is wrong with it at once."""

    def __init__(self, findings: list[Finding]) -> None:
        super().__init__("\n".join(str(finding) for finding in findings))
        self.findings = findings


class StartError(FrontrunnerError):
    """The process cannot start."""


class Fallback(FrontrunnerError):
    """Leave the accelerated road: the original request goes upstream whole, with `reason` in the log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Refusal(FrontrunnerError):
    """Answer with `status` and a problem+json instead of asking the upstream."""

    def __init__(self, status: int, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail


class WaitOver(Refusal):
    """Tell where the answer will be that the client does not wait for any longer, and in how many seconds."""

    def __init__(self, reason: str, detail: str, job: str, retry_after_s: int) -> None:
        super().__init__(504, reason, detail)
        self.job = job
        self.retry_after_s = retry_after_s


class ClientGone(FrontrunnerError):
    """The client left before its answer was complete."""


class SqliteError(FrontrunnerError):
    """The file cannot be used now: busy, full, broken, not reachable, not ours."""


class UpstreamError(FrontrunnerError):
    """The upstream gave no complete answer; `status` and `reason` are what the client is told."""

    status = 502
    reason = "upstream_error"
    retry_after_s: float | None = None
    """Seconds after which to come again, where that is known."""


class UpstreamRefused(UpstreamError):
    """No connection could be made."""

    reason = "upstream_refused"


class UpstreamReset(UpstreamError):
    """The connection ended before a response head came back."""

    reason = "upstream_reset"


class UpstreamInvalid(UpstreamError):
    """What came back is not HTTP."""

    reason = "upstream_invalid"


class UpstreamTimeout(UpstreamError):
    """Connecting, waiting for the first byte or for the next one took too long."""

    status = 504
    reason = "upstream_timeout"


class UpstreamBusy(UpstreamError):
    """As many calls are in flight as may, and too many wait already, or it would take too long."""

    status = 503
    reason = "queue_timeout"

    def __init__(self, detail: str, reason: str = reason, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.reason = reason
        self.retry_after_s = retry_after_s


class UpstreamCut(UpstreamError):
    """The body ended before it was complete."""

    reason = "upstream_cut"
