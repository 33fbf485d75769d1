"""Where a job is read: open to whoever made it, with the credentials of that request and no others."""

from starlette.requests import Request
from starlette.responses import Response

from proxy.admin.problems import answer as problem
from proxy.core.reasons import Reason
from proxy.core.types import Client
from proxy.core.types import Request as CoreRequest
from proxy.errors import Refusal
from proxy.jobs import Jobs


class JobDesk:
    """Answers for jobs; an admin token opens none."""

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs

    async def __call__(self, request: Request) -> Response:
        """Tell how far a job is, hand out its answer, or forget it."""
        asked = CoreRequest(request.method, request.url.path.encode(), tuple(request.headers.raw), b"", Client())
        try:
            told = await self._jobs.answer(asked, request.path_params["id"])
        except Refusal as error:
            refused = problem(request, error.status, Reason(error.reason), error.detail)
            if error.status == 401:
                refused.headers["www-authenticate"] = 'Bearer realm="frontrunner jobs"'
            return refused
        answer = Response(told.body if isinstance(told.body, bytes) else b"", told.status)
        answer.raw_headers = list(told.headers)  # as they came, duplicates too
        return answer
