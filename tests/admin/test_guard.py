"""Who may use the admin endpoints."""

from http.cookies import SimpleCookie

import pytest
from admin_desk import BEARER, PREFIX, TOKEN, Desk

from proxy.admin.guard import COOKIE

PATH = f"{PREFIX}/performance"
CREDENTIALS = [
    ("the token", {"authorization": f"Bearer {TOKEN}"}, 200),
    ("in any case of the scheme", {"authorization": f"bEARER  {TOKEN} "}, 200),
    ("nothing", {}, 401),
    ("an empty token", {"authorization": "Bearer "}, 401),
    ("another token", {"authorization": f"Bearer {TOKEN}x"}, 401),
    ("half a token", {"authorization": f"Bearer {TOKEN[:-1]}"}, 401),
    ("another scheme", {"authorization": f"Basic {TOKEN}"}, 401),
    ("no scheme", {"authorization": TOKEN}, 401),
    ("letters beyond ASCII", {"authorization": "Bearer é\u00ff"}, 401),
    ("an empty cookie", {"cookie": f"{COOKIE}="}, 401),
    ("the token as cookie", {"cookie": f"{COOKIE}={TOKEN}"}, 401),
    ("a peer on this machine", {"x-forwarded-for": "127.0.0.1"}, 401),
]


@pytest.mark.parametrize(("headers", "status"), [row[1:] for row in CREDENTIALS], ids=[row[0] for row in CREDENTIALS])
async def test_credentials(headers: dict[str, str], status: int) -> None:
    said = await Desk().ask(PATH, headers)
    assert said is not None
    assert said.status == status


async def test_who_is_refused_is_told_how() -> None:
    """A problem with a challenge, kept by nobody; never the token."""
    said = await Desk().ask(PATH, {"x-request-id": "a" * 32})
    assert said is not None
    assert said.header("www-authenticate").startswith("Bearer")
    assert said.header("content-type") == "application/problem+json"
    assert said.header("cache-control") == "no-store"
    assert {"type", "title", "status", "detail", "request_id", "reason"} <= said.json().keys()
    assert said.json()["request_id"] == "a" * 32
    assert TOKEN.encode() not in said.body


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE"])
async def test_without_a_token_every_method_gets_401(method: str) -> None:
    """Wrong or no token: always 401."""
    said = await Desk().ask(PATH, {}, method=method)
    assert said is not None
    assert said.status == 401


async def cookie_of(path: str, scheme: str = "http") -> SimpleCookie:
    said = await Desk().ask(path, {}, scheme=scheme)
    assert said is not None
    assert (said.status, said.header("location")) == (303, path.partition("?")[0])
    assert said.header("cache-control") == "no-store"
    assert TOKEN not in said.header("location") + said.header("set-cookie")
    return SimpleCookie(said.header("set-cookie"))


async def test_a_token_in_the_address_becomes_a_cookie() -> None:
    """So that it stays out of histories and logs; the cookie opens the same doors."""
    cookie = (await cookie_of(f"{PATH}?token={TOKEN}"))[COOKIE]
    assert (bool(cookie["httponly"]), cookie["samesite"], bool(cookie["secure"])) == (True, "strict", False)
    said = await Desk().ask(PATH, {"cookie": f"a=1; {COOKIE}={cookie.value}"})
    assert said is not None
    assert said.status == 200


async def test_what_was_asked_besides_the_token_stays_in_the_address() -> None:
    said = await Desk().ask(f"{PREFIX}/performance/query?window=10m&token={TOKEN}&a=%C3%A9", {})
    assert said is not None
    assert said.header("location") == f"{PREFIX}/performance/query?window=10m&a=%C3%A9"


async def test_over_https_the_cookie_stays_there() -> None:
    assert (await cookie_of(f"{PATH}?token={TOKEN}", "https"))[COOKIE]["secure"]


async def test_the_cookie_goes_to_the_admin_endpoints_only() -> None:
    """A browser that sent it everywhere would hand it to the upstream, and pass every cached answer by."""
    assert (await cookie_of(f"{PATH}?token={TOKEN}"))[COOKIE]["path"] == PREFIX


async def test_a_wrong_token_in_the_address() -> None:
    said = await Desk().ask(f"{PATH}?token=wrong", {})
    assert said is not None
    assert (said.status, said.header("set-cookie")) == (401, "")


async def test_probes_are_open() -> None:
    """An orchestrator has no token, and learns nothing but that we live."""
    desk = Desk()
    for path in ("livez", "readyz"):
        said = await desk.ask(f"{PREFIX}/{path}", {})
        assert said is not None
        assert (said.status, said.body) == (200, b"ok\n")


async def test_the_bearer_is_what_the_tests_think() -> None:
    said = await Desk().ask(PATH, BEARER)
    assert said is not None
    assert said.status == 200
