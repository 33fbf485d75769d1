"""What we could not do → problem+json (RFC 9457)."""

import json
from http import HTTPStatus

from proxy.core.reasons import Reason
from proxy.core.types import Response


def problem(status: int, reason: Reason, detail: str, request_id: str, retry_after_s: int | None = None) -> Response:
    """Return the answer that tells a client what went wrong, why, and where it helps when to come back (seconds)."""
    told = {
        "type": f"urn:frontrunner:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
        "reason": str(reason),
    }
    if retry_after_s is not None:
        told["retry_after_s"] = retry_after_s
    body = json.dumps(told).encode()
    headers = (
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode("ascii")),
    )
    return Response(status, headers, body)
