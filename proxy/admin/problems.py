"""Problems of the admin endpoints, in the form of all our errors."""

import os

from starlette.requests import Request
from starlette.responses import Response

from proxy.core.headers import request_id
from proxy.core.problem import problem
from proxy.core.reasons import Reason


def answer(request: Request, status: int, reason: Reason, detail: str) -> Response:
    """Return a problem+json with the client's request id, or a new one."""
    known = request_id(tuple(request.headers.raw)) or os.urandom(16).hex()
    made = problem(status, reason, detail, known)
    said = {name.decode(): value.decode() for name, value in made.headers}
    return Response(made.body, made.status, said)
