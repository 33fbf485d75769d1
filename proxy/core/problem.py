"""What we could not do → problem+json (RFC 9457)."""

import json
from http import HTTPStatus

from proxy.core.reasons import Reason
from proxy.core.types import Headers, Response


def problem(
    status: int, reason: Reason, detail: str, request_id: str, retry_after_s: int | None = None, job: str = ""
) -> Response:
    """Return the answer that tells a client what went wrong, why, and where it helps when to come back (seconds).

    `job` is where the answer will be, if it is still on its way (RFC 8631: `status`).
    """
    told: dict[str, str | int] = {
        "type": f"urn:frontrunner:{reason}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "request_id": request_id,
        "reason": str(reason),
    }
    if retry_after_s is not None:
        told["retry_after_s"] = retry_after_s
    if job:
        told["job"] = job
    body = json.dumps(told).encode()
    headers: Headers = (
        (b"content-type", b"application/problem+json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-request-id", request_id.encode("ascii")),
    )
    if status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after_s is not None:
        headers = (*headers, (b"retry-after", b"%d" % retry_after_s))
    if job:
        headers = (*headers, (b"link", b'<%b>; rel="status"' % job.encode()))
    return Response(status, headers, body)
