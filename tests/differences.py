"""What may differ between a message that went directly and one that went through the proxy: CONTRACT.md's list, once.

`differences` compares two requests as the upstream received them, or two responses as the client received them.
Method, target, status, body and whether it was cut, and the fields in their order must be equal but for what is named
here. Not looked at: reason phrase, version, 1xx, trailers, framing itself.
"""

import re
from dataclasses import dataclass

from http1 import Fields, request_length, response_length, values
from wire import Answer, Exchange

HOP_BY_HOP = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
OURS = re.compile(rb"1\.1 frontrunner-\S+")
REQUEST_ID = re.compile(rb"[0-9a-f]{32}")


@dataclass(frozen=True)
class Message:
    """What the two ways have in common: a first line's meaning, fields, content.

    `length` is how the body is framed; `describes` says that Content-Length tells of a body that is not there.
    """

    first: bytes
    fields: Fields
    body: bytes
    cut: bool
    length: int
    is_request: bool
    describes: bool = False

    @classmethod
    def asked(cls, exchange: Exchange) -> "Message":
        """Take a request as the upstream received it."""
        first = exchange.method + b" " + exchange.target
        length = request_length(exchange.fields)
        return cls(first, exchange.fields, exchange.body, not exchange.complete, length, True)

    @classmethod
    def answered(cls, method: bytes, answer: Answer) -> "Message":
        """Take a response as the client received it."""
        length = response_length(method, answer.status, answer.fields)
        describes = method == b"HEAD" or answer.status == 304
        return cls(b"%d" % answer.status, answer.fields, answer.body, answer.cut, length, False, describes)

    def listed(self, name: bytes) -> list[bytes]:
        """Return the members of a list-valued field."""
        return [member.strip() for value in values(self.fields, name) for member in value.split(b",") if member.strip()]

    def end_to_end(self) -> Fields:
        """Return the fields without hop-by-hop ones and those that Connection names, names in lower case."""
        hop = HOP_BY_HOP | {token.lower() for token in self.listed(b"connection")}
        return tuple((name.lower(), value) for name, value in self.fields if name.lower() not in hop)


def differences(direct: Message, through: Message) -> list[str]:
    """Say what differs that may not."""
    found = [
        f"{name}: {there[:200]!r} became {here[:200]!r}"
        for name, there, here in (
            ("first line", direct.first, through.first),
            ("body", direct.body, through.body),
            ("cut", b"%d" % direct.cut, b"%d" % through.cut),
        )
        if there != here
    ]
    found += [f"{name}: {value!r} is not allowed" for name, value in _wrongly_added(direct, through)]
    aside = {b"via", b"x-request-id", b"cache-status"} | _absent_there(direct, through)
    if _framed_differently(direct, through):
        aside.add(b"content-length")
    there, here = ([row for row in side.end_to_end() if row[0] not in aside] for side in (direct, through))
    if there != here:
        found.append(f"fields: lost {_minus(there, here)}, new {_minus(here, there)}, order {[n for n, _ in here]}")
    return found


def _absent_there(direct: Message, through: Message) -> set[bytes]:
    """Name fields that may be there through us where they were not directly."""
    if direct.is_request:
        return {b"x-forwarded-for"}
    names = {b"date"} if not values(direct.fields, b"date") else set()
    stored = any(b"; hit" in member for member in values(through.fields, b"cache-status"))
    return names | ({b"age"} if stored else set())


def _wrongly_added(direct: Message, through: Message) -> list[tuple[str, object]]:
    """Check the fields that we append to or set: what was there stays in front, what is ours has its form."""
    wrong: list[tuple[str, object]] = []
    appended = {b"via": OURS}
    if direct.is_request:
        appended[b"x-forwarded-for"] = re.compile(rb"127\.0\.0\.1")
    else:
        appended[b"cache-status"] = re.compile(rb"Frontrunner; \S.*")
    for name, form in appended.items():
        there, here = direct.listed(name), through.listed(name)
        ours = here[len(there) :]
        must = direct.is_request
        if (
            here[: len(there)] != there
            or len(ours) > 1
            or (must and not ours)
            or (ours and not form.fullmatch(ours[0]))
        ):
            wrong.append((name.decode(), here))
    ids, sent = values(through.fields, b"x-request-id"), values(direct.fields, b"x-request-id")
    kept = direct.is_request and len(sent) == 1 and REQUEST_ID.fullmatch(sent[0])
    if len(ids) != 1 or not REQUEST_ID.fullmatch(ids[0]) or (kept and sent != ids):
        wrong.append(("x-request-id", ids))
    return wrong


def _framed_differently(direct: Message, through: Message) -> bool:
    """Tell whether Content-Length is only framing here, and the two ways frame differently (or there is no body)."""
    if direct.describes:
        return False
    return not direct.body or min(direct.length, through.length) < 0


def _minus(left: list[tuple[bytes, bytes]], right: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    return [row for row in left if row not in right]
