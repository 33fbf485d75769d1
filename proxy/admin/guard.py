"""Who may use the admin endpoints: the bearer of the token, or of the cookie that `?token=` sets."""

import hmac
from hashlib import blake2b

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from proxy.admin.problems import answer
from proxy.core.reasons import Reason

COOKIE = "frontrunner_admin"


class Guard:
    """Checks credentials against one token; a peer's address is never a credential."""

    def __init__(self, token: str, prefix: str, *, root: bool = False) -> None:
        self._token = token
        self._path = "/" if root else prefix  # a browser sends it nowhere else, least of all to the upstream
        # the cookie is not the token itself, so that a leaked cookie jar does not give away the token
        self._cookie = blake2b(token.encode(), person=b"frontrunner-ui").hexdigest()

    def refusal(self, request: Request) -> Response | None:
        """Return the answer for a request without valid credentials; None lets it in."""
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(given.strip(), self._token):
            return None
        if _same(request.cookies.get(COOKIE, ""), self._cookie):
            return None
        if _same(request.query_params.get("token", ""), self._token):
            return self._with_cookie(request)
        refused = answer(
            request, 401, Reason.TOKEN, "needs Authorization: Bearer TOKEN (`frontrunner token` prints it)"
        )
        refused.headers["www-authenticate"] = 'Bearer realm="frontrunner"'
        return refused

    def _with_cookie(self, request: Request) -> Response:
        """Swap the token in the address for a cookie, so that it stays out of histories and logs."""
        swapped = RedirectResponse(request.url.remove_query_params("token").replace(scheme="", netloc=""), 303)
        swapped.set_cookie(
            COOKIE,
            self._cookie,
            path=self._path,
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return swapped


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), wanted.encode())
