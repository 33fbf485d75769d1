"""Where the time went, told to the client: Server-Timing (W3C Server Timing)."""

from proxy.core.log_line import LogLine

NAME = b"server-timing"


def server_timing(line: LogLine, now: float) -> bytes:
    """Write what is known when the head leaves, in milliseconds."""
    laps = (
        ("key", line.normalize_s),
        ("lookup", line.lookup_s),
        ("upstream", line.waited_s(now)),
        ("total", now - line.began),
    )
    return ", ".join([f"{name};dur={lap * 1000:.3f}" for name, lap in laps if lap is not None]).encode("ascii")
