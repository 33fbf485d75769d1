"""A client that calls an ASGI app in this process: one ask, one whole answer."""

import asyncio
from dataclasses import dataclass


@dataclass(frozen=True)
class Told:
    """What the app sent: status, fields in order, body."""

    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value.decode("latin-1") for field, value in self.fields if field == name.encode()]
        return ", ".join(values) if values else None


async def ask(app, method, target, headers=(), body=b"") -> Told:
    """Send one request and return the whole answer; the client stays until it has it."""
    path, _, query = target.partition("?")
    named = [(name.lower().encode(), value.encode()) for name, value in headers]
    fields = named if b"host" in dict(named) else [(b"host", b"site.test"), *named]
    if body:
        fields.append((b"content-length", b"%d" % len(body)))
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": fields,
        "server": ("site.test", 80), "client": ("192.0.2.7", 50000),
    }  # fmt: skip
    events = [{"type": "http.request", "body": body, "more_body": False}]
    sent = []
    answered = asyncio.Event()

    async def receive():
        if events:
            return events.pop(0)
        await answered.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            answered.set()

    await app(scope, receive, send)
    start, *bodies = sent
    return Told(start["status"], tuple(start["headers"]), b"".join(message.get("body", b"") for message in bodies))
