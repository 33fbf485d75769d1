"""What operators may do: purge, bypass, explain. Each act leaves its line, each mistake is told, no value is repeated."""

import json
from pathlib import Path
from typing import Any

import pytest
from admin_desk import PREFIX, Desk, Said
from fakes import FailingStore, answer
from world import asked, rule

from proxy.admin import acts
from proxy.admin.acts import Acts, Described
from proxy.bypass import Bypass

SECRET = "hunter2"
KEY = "0123456789abcdef0123456789abcdef01234567"


def check_problem(said: Said, status: int, reason: str) -> str:
    """Check that this is a problem of ours that repeats nothing; return its detail."""
    assert (said.status, said.header("content-type"), said.json()["reason"]) == (
        status,
        "application/problem+json",
        reason,
    )
    assert SECRET.encode() not in said.body
    return str(said.json()["detail"])


# Purge.

PURGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a URL": (
        {"url": "http://site.test/kept/a?token=hunter2", "headers": {"X-A": "hunter2"}},
        {"what": "url", "path": "/kept/a", "held": False},
    ),
    "a target": (
        {"url": "/kept/a", "headers": {"Host": "site.test"}},
        {"what": "url", "path": "/kept/a", "held": True},
    ),
    "a target of the host by which the operator came": (
        {"url": "/kept/a"},
        {"what": "url", "path": "/kept/a", "held": False},
    ),
    "a path that names a secret": (
        {"url": "/kept/a;sessionid=hunter2"},
        {"what": "url", "path": "/kept/a;sessionid=…", "held": False},
    ),
    "a key": ({"key": KEY}, {"what": "key", "name": KEY, "held": False}),
    "a rule": ({"rule": "kept"}, {"what": "rule", "name": "kept"}),
    "a group": ({"group": "g", "host": "Site.test"}, {"what": "group", "name": "site.test g"}),
    "all": ({"all": True}, {"what": "all"}),
}


@pytest.mark.parametrize("soft", [None, False, True])
@pytest.mark.parametrize(("sent", "told"), PURGES.values(), ids=PURGES)
async def test_what_was_purged_is_told_and_logged(
    sent: dict[str, Any], told: dict[str, Any], soft: bool | None
) -> None:
    """The line says who did what; it has no query, field or body: their values are not for the log."""
    desk = Desk()
    await desk.world.ask()
    desk.clock.advance(1)
    said = await desk.send("cache/purge", {**sent, **({} if soft is None else {"soft": soft})})
    assert (said.status, said.json()) == (200, {"purged": True, "soft": bool(soft), **told})
    assert desk.audited == [{"event": "purge", "client_ip": "127.0.0.1", "soft": bool(soft), **told}]


@pytest.mark.parametrize(
    "sent",
    [{"url": "http://site.test/kept/a"}, {"rule": "kept"}, {"group": "g", "host": "SITE.test"}, {"all": True}],
    ids=["url", "rule", "group", "all"],
)
async def test_it_is_gone_for_the_next_client(sent: dict[str, Any]) -> None:
    desk = Desk()
    desk.world.engine.then(answer(b"", (b"cache-groups", b'"g"')))
    await desk.world.ask()
    desk.clock.advance(1)
    await desk.send("cache/purge", sent)
    desk.clock.advance(1)
    await desk.world.ask()
    assert desk.world.outcomes == ["miss", "miss"]


ONE = "exactly one of url, key, rule, group, all is wanted"
WRONG: dict[str, tuple[str, Any, str]] = {
    "nothing": ("cache/purge", {}, ONE),
    "nothing but how": ("cache/purge", {"soft": True}, ONE),
    "two things": ("cache/purge", {"url": "/hunter2", "all": True}, ONE),
    "not all": ("cache/purge", {"all": False}, "all: "),
    "a group of nobody": ("cache/purge", {"group": "hunter2"}, "a group needs the host that it is of"),
    "no key": ("cache/purge", {"key": "hunter2"}, "key: "),
    "a key in upper case": ("cache/purge", {"key": KEY.upper()}, "key: "),
    "a rule that is not there": ("cache/purge", {"rule": "x"}, "no rule is called 'x'; there are: kept, default"),
    "somebody's own": ("cache/purge", {"url": "/kept/a?hunter2", "headers": {"Cookie": SECRET}}, "GET /kept/a passes through (cookie): it is never stored"),
    "credentials": ("cache/purge", {"url": "/kept/a?hunter2", "headers": {"Authorization": SECRET}}, "GET /kept/a passes through (credentials)"),
    "a body": ("cache/purge", {"url": "/kept/a?hunter2", "body": SECRET, "soft": True}, "GET /kept/a passes through (body)"),
    "a method": ("cache/purge", {"url": "/kept/a?hunter2", "method": "DELETE"}, "DELETE /kept/a passes through (no_rule)"),
    "a member that is none": ("cache/purge", {"urls": SECRET}, "urls: "),
    "a number for a flag": ("cache/purge", {"all": True, "soft": 1}, "soft: "),
    "no switch": ("bypass", {}, "on: "),
    "a word for a switch": ("bypass", {"on": "hunter2"}, "on: "),
    "no URL": ("explain", {"method": "GET"}, "url: "),
    "a list of fields": ("explain", {"url": "/a", "headers": [SECRET]}, "headers: "),
    "a field that is no text": ("explain", {"url": "/a", "headers": {"x-a": [SECRET]}}, "headers.x-a: "),
    "a body that is no text": ("explain", {"url": "/a", "body": {"password": SECRET}}, "body: "),
    "no JSON": ("explain", b'{"url": "hunter2', "the body: "),
    "no object": ("explain", b'"hunter2"', "the body: "),
    "nothing at all": ("explain", b"", "the body: "),
    "not UTF-8": ("explain", b'{"url": "/hunter2\xff"}', "the body: "),
    "half a character": ("explain", b'{"url": "/hunter2\\ud800"}', "the body: "),
    "a member twice is its last": ("explain", b'{"url": "hunter2", "url": "x hunter2"}', "the URL holds a space"),
    "more levels than anybody means": ("explain", b'{"url":' * 100_000, "the body: "),
    "more than is taken": ("explain", b" " * (acts.MOST_BYTES + 1), "more than 16777216 bytes"),
    "long names": ("explain", {"url": "/a", **{f"{number}" + "x" * 9999: SECRET for number in range(99)}}, "0xxx"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "sent", "told"), WRONG.values(), ids=WRONG)
async def test_a_mistake_is_told_and_nothing_is_done(path: str, sent: Any, told: str) -> None:
    desk = Desk()
    said = await desk.send(path, sent)
    detail = check_problem(said, 400, "bad_request")
    assert told in detail
    assert len(detail) < 2000
    assert desk.audited == []


NEITHER, ESCAPED = "neither one such as http://host/path", "clients send escaped, such as %20"
VALUE = "field x-a has a value that no client can send"
MALFORMED: dict[str, tuple[dict[str, Any], str]] = {
    "nothing": ({"url": ""}, NEITHER),
    "no path": ({"url": "hunter2"}, NEITHER),
    "no scheme": ({"url": "hunter2.test/a"}, NEITHER),
    "another scheme": ({"url": "ftp://hunter2/a"}, NEITHER),
    "no host": ({"url": "http:///hunter2"}, NEITHER),
    "a user": ({"url": "http://me:hunter2@site.test/a"}, "names a user, which clients send as a field Authorization"),
    "a fragment": ({"url": "/a#hunter2"}, "a fragment, which clients do not send"),
    "a fragment for a path": ({"url": "http://site.test#hunter2"}, "a fragment, which clients do not send"),
    "a space": ({"url": "/a hunter2"}, ESCAPED),
    "a space before it": ({"url": " /hunter2"}, ESCAPED),
    "a line break": ({"url": "/a\r\nX-A: hunter2"}, ESCAPED),
    "a line break at the end": ({"url": "/hunter2\n"}, ESCAPED),
    "a NUL": ({"url": "/a\0hunter2"}, ESCAPED),
    "text that runs backwards": ({"url": "/a\u202ehunter2"}, ESCAPED),
    "a letter beyond ASCII": ({"url": "/ä?hunter2"}, ESCAPED),
    "a host beyond ASCII": ({"url": "http://bücher.test/hunter2"}, ESCAPED),
    "no method": ({"method": "", "url": "/hunter2"}, "the method is not one word"),
    "two methods": ({"method": "GET /hunter2", "url": "/a"}, "the method is not one word"),
    "a method with a line break": ({"method": "GET\r\nhunter2", "url": "/a"}, "the method is not one word"),
    "a field without a name": ({"url": "/a", "headers": {"": "hunter2"}}, "a name that cannot be one"),
    "a name with a line break": ({"url": "/a", "headers": {"X: 1\r\nhunter2": "a"}}, "a name that cannot be one"),
    "a name beyond ASCII": ({"url": "/a", "headers": {"hunter2ä": "a"}}, "a name that cannot be one"),
    "a name twice": ({"url": "/a", "headers": {"X-A": "hunter2", "x-a": "hunter2"}}, "field x-a is named twice"),
    "a value with a line break": ({"url": "/a", "headers": {"X-A": "1\r\nX-B: hunter2"}}, VALUE),
    "a value with half of one": ({"url": "/a", "headers": {"X-A": "hunter2\n"}}, VALUE),
    "a value with a NUL": ({"url": "/a", "headers": {"X-A": "\0hunter2"}}, VALUE),
    "a value beyond Latin-1": ({"url": "/a", "headers": {"X-A": "hunter2 ★"}}, VALUE),
}


@pytest.mark.parametrize("path", ["explain", "cache/purge"])
@pytest.mark.parametrize(("sent", "told"), MALFORMED.values(), ids=MALFORMED)
async def test_what_no_client_sends_is_told_as_such(path: str, sent: dict[str, Any], told: str) -> None:
    """It may be a secret in the wrong place: what is wrong is told, not what was sent."""
    desk = Desk()
    assert told in check_problem(await desk.send(path, sent), 400, "bad_request")
    assert desk.audited == []


AS_SENT: dict[str, tuple[str, dict[str, str], tuple[bytes, bytes, str]]] = {
    "a URL": ("http://site.test/a?b=1", {}, (b"/a?b=1", b"site.test", "http")),
    "its scheme": ("HTTPS://Site.test:443/a", {}, (b"/a", b"Site.test:443", "https")),
    "without a path": ("http://site.test", {}, (b"/", b"site.test", "http")),
    "a query without a path": ("http://site.test?b", {}, (b"/?b", b"site.test", "http")),
    "a target": ("/a?b", {}, (b"/a?b", b"localhost", "http")),
    "an empty query": ("/a?", {}, (b"/a?", b"localhost", "http")),
    "a target that looks like a URL without a scheme": ("//a/b", {}, (b"//a/b", b"localhost", "http")),
    "a Host": ("/a", {"Host": "site.test"}, (b"/a", b"site.test", "http")),
    "a Host beside a URL": ("http://127.0.0.1:8080/a", {"HOST": "site.test"}, (b"/a", b"site.test", "http")),
    "what URLs should not hold, but clients send": ('/a"{}|^`<>\\', {}, (b'/a"{}|^`<>\\', b"localhost", "http")),
    "an @ that names nobody": ("/a@b?c=d@e", {}, (b"/a@b?c=d@e", b"localhost", "http")),
}


@pytest.mark.parametrize(("url", "headers", "told"), AS_SENT.values(), ids=AS_SENT)
def test_a_request_as_its_clients_send_it(url: str, headers: dict[str, str], told: Any) -> None:
    made = Described(method="get", url=url, headers=headers).request(b"localhost")
    assert (made.target, made.header(b"host"), made.client.scheme) == told
    assert made.method == "GET"


def test_its_fields_are_as_a_server_reads_them() -> None:
    fields = {"X-A": " \té ", "Cookie": "a=1; b=2", "X-Empty": "", "Host": "site.test"}
    made = Described(url="/a", headers=fields, body="ü").request(b"localhost")
    assert made.headers == ((b"x-a", b"\xe9"), (b"cookie", b"a=1; b=2"), (b"x-empty", b""), (b"host", b"site.test"))
    assert made.body == "ü".encode()


# Bypass.


async def test_the_bypass_is_turned_told_and_logged(tmp_path: Path) -> None:
    """Who asks is told where its file is: that is a switch, too."""
    file, seen = tmp_path / "bypass-1", []
    desk = Desk(bypass=Bypass(file))
    for on in (None, True, True, False, None):
        said = await desk.send("bypass", {"on": on}) if on is not None else await desk.ask(f"{PREFIX}/bypass")
        assert said is not None
        assert (said.status, said.json()) == (200, {"on": bool(on), "file": str(file)})
        seen.append(file.exists())
    assert seen == [False, True, True, False, False]
    told = [{"event": "bypass", "client_ip": "127.0.0.1", "on": on} for on in (True, True, False)]
    assert desk.audited == told


async def test_a_bypass_without_a_file_says_so() -> None:
    assert (await Desk().send("bypass", {"on": True})).json() == {"on": True, "file": None}


# Explain.


async def test_an_explanation_is_json_and_leaves_no_line() -> None:
    desk = Desk()
    await desk.world.ask()
    said = await desk.send("explain", {"url": "http://site.test/kept/a"})
    assert said.status == 200
    assert said.json()["would"] == {"outcome": "hit", "do": "answer from the store"}
    assert said.json() == json.loads(json.dumps(await desk.world.explain(asked())))
    assert desk.audited == []


async def test_a_target_is_asked_of_the_host_by_which_the_operator_came() -> None:
    told = (await Desk().send("explain", {"url": "/kept/a"})).json()
    assert told["key"]["form"]["host"] == "proxy.test"


@pytest.mark.parametrize("url", ["/kept/a", "/elsewhere"])
async def test_while_the_bypass_is_on_it_says_what_would_happen_then(url: str) -> None:
    """What is stored is told all the same."""
    desk = Desk()
    desk.world.bypass.turn(on=True)
    told = (await desk.send("explain", {"url": url})).json()
    assert told["would"] == {"outcome": "passthrough", "do": "send it straight upstream", "reason": "bypass"}
    assert "key" in told


async def test_names_from_clients_cannot_break_the_answer() -> None:
    """Half a character in a member's name is no text that could be sent on."""
    desk = Desk(rules=(rule(safe=True, methods=frozenset({"POST"})),))
    said = await desk.send("explain", {"method": "POST", "url": "/kept/a", "body": '{"\\ud800": "\\ud800"}'})
    assert (said.status, said.json()["key"]["form"]["$.\\ud800"]) == (200, '"\\xed\\xa0\\x80"')


# What is broken.


@pytest.mark.parametrize(
    ("path", "sent"),
    [("cache/purge", {"url": "/kept/a"}), ("cache/purge", {"key": KEY, "soft": True}), ("explain", {"url": "/kept/a"})],
)
async def test_a_broken_store_is_told_and_logged(path: str, sent: dict[str, Any]) -> None:
    """Neither silence nor the name of a server with its password: that is for the log."""
    desk = Desk(store=FailingStore())
    assert (
        check_problem(await desk.send(path, sent), 500, "internal")
        == "nothing is certain: ConnectionError, the log has more"
    )
    *purge, error = desk.audited
    assert error == {"event": "error", "level": "error", "error": "ConnectionError"}
    assert [(one["event"], one["failed"]) for one in purge] == [("purge", "ConnectionError")] * (path == "cache/purge")


@pytest.mark.parametrize("path", ["cache/purge", "bypass", "explain"])
async def test_a_client_that_leaves_does_nothing(path: str) -> None:
    desk = Desk()
    await desk.send(path, None)
    assert desk.audited == []


def test_whether_it_is_bypassed() -> None:
    here = Desk().world
    one = Acts(here.purge, here.bypass, here.explain, print)
    assert not one.bypassed
    here.bypass.turn(on=True)
    assert one.bypassed
