"""A second genuine upstream: Apache httpd, which validates, negotiates, compresses and cuts, does all that through us."""

import gzip
import os
import re
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from email.utils import formatdate
from itertools import count
from pathlib import Path
from unittest.mock import ANY

import pytest
from running import Proxy, status_of
from wire import Answer, asked, raw_exchange

pytestmark = [pytest.mark.real, pytest.mark.asyncio(loop_scope="module")]

MODULES = ("mpm_event", "authz_core", "alias", "mime", "negotiation", "filter", "deflate", "headers")
CONFIG = """
ServerRoot {folder}
ServerName localhost
Listen 127.0.0.1:{port}
PidFile {folder}/pid
DefaultRuntimeDir {folder}
ErrorLog {folder}/errors
User www-data
Group www-data
TypesConfig /dev/null
AddType text/html .html
AddType application/octet-stream .bin
AddLanguage en .en
AddLanguage de .de
LanguagePriority en de
ForceLanguagePriority Prefer Fallback
AddOutputFilterByType DEFLATE text/html
DocumentRoot {folder}/site
Alias /checked {folder}/site
<Directory {folder}/site>
    Options +MultiViews
</Directory>
<Location /checked>
    Header set Cache-Control no-cache
</Location>
"""
WRITTEN = 1_700_000_000
GZIP = b"Accept-Encoding: gzip"
GERMAN, ENGLISH, FRENCH = (b"Accept-Language: " + tag for tag in (b"de-AT, de;q=0.9", b"en", b"fr"))
LINES = "".join(f"<p>{number}: the same words, and a number.</p>\n" for number in range(200)).encode()
SITE = {
    "page.html": b"<h1>Page</h1>\n" + LINES,
    "hello.html.en": b"<h1>Hello</h1>\n" + LINES,
    "hello.html.de": "<h1>Grüß Gott</h1>\n".encode() + LINES,
    "news.html": b"<h1>Old</h1>\n" + LINES,
    "numbers.bin": bytes(range(256)) * 64,
}
REPRESENTATIONS = {
    "a file": ("numbers.bin", ()),
    "a page": ("page.html", ()),
    "a page, compressed": ("page.html", (GZIP,)),
    "the German one": ("hello", (GERMAN,)),
    "the German one, compressed": ("hello", (GERMAN, GZIP)),
    "the English one": ("hello", (ENGLISH,)),
    "the English one, compressed": ("hello", (GZIP, ENGLISH)),
    "a language that there is not": ("hello.html", (FRENCH,)),
}
each = pytest.mark.parametrize(("name", "fields"), REPRESENTATIONS.values(), ids=REPRESENTATIONS)
OF_THE_EXCHANGE = {
    b"date", b"age", b"via", b"x-request-id", b"cache-status", b"connection", b"keep-alive", b"transfer-encoding",
}  # fmt: skip
numbers = count()


class Apache:
    """`apache2` in the foreground on a free port, with a site in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.site = folder / "site"
        self.site.mkdir()
        for name, content in SITE.items():
            self.put(name, content)
        os.utime(self.site, (WRITTEN, WRITTEN))  # what Apache negotiates has a tag of the folder's too
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        load = "".join(f"LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n" for name in MODULES)
        file = folder / "httpd.conf"
        file.write_text(load + CONFIG.format(folder=folder, port=self.port))
        self.process = subprocess.Popen(["/usr/sbin/apache2", "-DFOREGROUND", "-f", str(file)], stderr=subprocess.PIPE)
        with socket.socket() as probe:
            while probe.connect_ex(("127.0.0.1", self.port)):
                assert self.process.poll() is None, self.process.communicate()[1]
                time.sleep(0.02)

    def put(self, name: str, content: bytes, written: int = WRITTEN) -> None:
        """Write a file as of that time."""
        (self.site / name).write_bytes(content)
        os.utime(self.site / name, (written, written))

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.communicate(timeout=10)


@pytest.fixture(scope="module")
def apache() -> Iterator[Apache]:
    """Return a running Apache; its folder is one that www-data may read."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        running = Apache(Path(folder))
        yield running
        running.stop()


@pytest.fixture(scope="module")
def front(apache: Apache, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proxy]:
    """Return the proxy in front of it: no rule, what Apache says is all that counts."""
    config = {"upstream": {"url": f"http://127.0.0.1:{apache.port}"}}
    running = Proxy(config, tmp_path_factory.mktemp("proxy")).start()
    yield running
    running.stop()


async def get(port: int, target: str, *fields: bytes, method: bytes = b"GET") -> Answer:
    return await raw_exchange("127.0.0.1", port, asked(method, target.encode(), *fields))


def unseen(name: str, room: str = "") -> str:
    """Return a target for a file that nobody has asked for yet; Apache looks at no query here."""
    return f"{room}/{name}?{next(numbers)}"


def told(answer: Answer, *aside: bytes) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
    """Return what an answer says whoever carries it: status, fields without those of the exchange, content."""
    fields = [(name.lower(), value) for name, value in answer.fields]
    return answer.status, sorted(row for row in fields if row[0] not in OF_THE_EXCHANGE.union(aside)), answer.body


def parts(answer: Answer) -> list[tuple[bytes, bytes]]:
    """Return the parts of an answer, each with its place; of a whole one, the one part without a place."""
    boundary = re.match(rb"multipart/byteranges; *boundary=(.+)", answer.value(b"content-type"))
    if boundary is None:
        return [(answer.value(b"content-range"), answer.body)]
    part = rb"(?is)--%b\r\ncontent-type: [^\r]+\r\ncontent-range: ([^\r]+)\r\n\r\n(.*?)(?=\r\n--%b)"
    return re.findall(part % (boundary[1], boundary[1]), answer.body)


@each
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_what_is_stored_is_what_apache_says(
    method: bytes, name: str, fields: tuple[bytes, ...], apache: Apache, front: Proxy
) -> None:
    """The first answer and its repetition from the store are Apache's own, field by field and byte by byte."""
    target = unseen(name)
    direct = await get(apache.port, target, *fields, method=method)
    first, again = await get(front.port, target, *fields), await get(front.port, target, *fields, method=method)
    assert [status_of(answer)[0] for answer in (first, again)] == ["uri-miss", "hit"]
    assert told(again) == told(direct)
    assert told(first) == told(await get(apache.port, target, *fields))


@each
@pytest.mark.parametrize(
    ("room", "more", "fwd", "otherwise"),
    [
        ("/checked", b"Accept: */*", "stale", "expired"),
        ("", b"Cache-Control: no-cache", "request", "miss"),
        ("", b"Cache-Control: max-age=0", "request", "miss"),
    ],
)
async def test_what_is_stored_is_asked_about(
    name: str, fields: tuple[bytes, ...], room: str, more: bytes, fwd: str, otherwise: str, apache: Apache, front: Proxy
) -> None:
    """Where Apache answers its own validators with 304, the stored answer is given again, whole and as Apache's own."""
    target = unseen(name, room)
    direct, first = [await get(port, target, *fields) for port in (apache.port, front.port)]
    known = [b"If-None-Match: " + direct.value(b"etag"), b"If-Modified-Since: " + direct.value(b"last-modified")]
    confirmed = (await get(apache.port, target, *fields, *known)).status == 304
    assert confirmed or GZIP in fields
    again = await get(front.port, target, *fields, more)
    assert (told(first), told(again, b"vary")) == (told(direct), told(direct, b"vary"))
    assert status_of(again) == (fwd, ANY)
    assert status_of(again)[1].get("fwd-status") == ("304" if confirmed else None)
    assert (await front.line(again))["outcome"] == ("revalidated" if confirmed else otherwise)
    (call,) = await front.lines(event="upstream_call", request_id=again.request_id)
    assert call["status"] == (304 if confirmed else 200)


CONDITIONS = {
    "its tag": b"If-None-Match: %(tag)b",
    "its tag, weak": b"If-None-Match: W/%(tag)b",
    "its tag among others": b'If-None-Match: "a", %(tag)b, "b"',
    "any tag": b"If-None-Match: *",
    "another tag": b'If-None-Match: "a"',
    "another tag, its date": b'If-None-Match: "a"\r\nIf-Modified-Since: %(date)b',
    "its date": b"If-Modified-Since: %(date)b",
    "a later date": b"If-Modified-Since: %(later)b",
    "an earlier date": b"If-Modified-Since: %(earlier)b",
}
RANGES = {
    "the first bytes": b"Range: bytes=0-9",
    "to the end": b"Range: bytes=500-",
    "the last bytes": b"Range: bytes=-7",
    "all": b"Range: bytes=0-",
    "beyond the end": b"Range: bytes=400-99999999",
    "two": b"Range: bytes=0-3,10-12",
    "the first and the last": b"Range: bytes=0-0,-1",
    "the later one first": b"Range: bytes=50-59,0-3",
    "three": b"Range: bytes=1-2,200-219,-20",
    "one of two is outside": b"Range: bytes=0-9,99999999-",
    "outside": b"Range: bytes=99999999-",
    "backwards": b"Range: bytes=9-1",
    "if its tag": b"Range: bytes=0-9\r\nIf-Range: %(tag)b",
    "if its tag, weak": b"Range: bytes=0-9\r\nIf-Range: W/%(tag)b",
    "if another tag": b'Range: bytes=0-9\r\nIf-Range: "a"',
    "if its date": b"Range: bytes=0-9\r\nIf-Range: %(date)b",
    "if a later date": b"Range: bytes=0-9\r\nIf-Range: %(later)b",
}


def filled(template: bytes, answer: Answer) -> bytes:
    """Fill the validators of an answer into a request field."""
    earlier, later = [formatdate(WRITTEN + days * 86400, usegmt=True).encode() for days in (-1, 1)]
    known = {b"tag": answer.value(b"etag"), b"date": answer.value(b"last-modified")}
    return template % (known | {b"earlier": earlier, b"later": later})


def statuses(template: bytes, tag: bytes, direct: int) -> set[int]:
    """Return what may be answered to a condition: what Apache does, but where it errs about a tag of its own.

    It does not know again what it compressed, and writes no closing quote for what it negotiated: then it is no tag.
    """
    if b"%(tag)" not in template or (direct == 304 and tag.endswith(b'"')):
        return {direct}
    return {304} if tag.endswith(b'"') else {200, 304}


@each
async def test_a_clients_condition_is_answered_from_the_store(
    name: str, fields: tuple[bytes, ...], apache: Apache, front: Proxy
) -> None:
    """304 or the whole, as Apache answers the same condition; a 304 has what RFC 9110 §15.4.5 wants of the whole's."""
    target, wrong = unseen(name), {}
    whole = await get(front.port, target, *fields)
    named = {row for row in told(whole)[1] if row[0] in {b"etag", b"vary", b"content-location", b"cache-control"}}
    for case, template in CONDITIONS.items():
        condition = filled(template, whole)
        direct, through = [await get(port, target, *fields, condition) for port in (apache.port, front.port)]
        assert status_of(through)[0] == "hit"
        status, has, content = told(through)
        right = named <= set(has) and not content if status == 304 else told(through) == told(whole)
        if not right or status not in statuses(template, whole.value(b"etag"), direct.status):
            wrong[case] = (condition, told(direct), told(through))
    assert wrong == {}


@each
async def test_a_part_is_cut_from_the_store(name: str, fields: tuple[bytes, ...], apache: Apache, front: Proxy) -> None:
    """Its status, place, bytes and fields are Apache's own; a 416 of ours also tells the length, Apache's does not."""
    target, wrong = unseen(name), {}
    whole = await get(front.port, target, *fields)
    for case, template in RANGES.items():
        wanted = filled(template, whole)
        direct, through = [await get(port, target, *fields, wanted) for port in (apache.port, front.port)]
        assert status_of(through)[0] == "hit"
        if direct.status == 416:
            right = (through.status, parts(through)) == (416, [(b"bytes */%d" % len(whole.body), b"")])
        else:
            framing = (b"content-type", b"content-length") if len(parts(direct)) > 1 else ()
            right = parts(through) == parts(direct) and told(through, *framing)[:2] == told(direct, *framing)[:2]
        if not right:
            wrong[case] = (wanted, told(direct), told(through))
    assert wrong == {}


async def test_each_gets_its_own_language_and_coding(apache: Apache, front: Proxy) -> None:
    """One address, six answers: whatever is stored first, each client gets what Apache gives to it."""
    target = unseen("hello")
    asks = [(*language, *coding) for language in ((GERMAN,), (ENGLISH,), ()) for coding in ((GZIP,), ())]
    direct = [told(await get(apache.port, target, *fields)) for fields in asks]
    for stored in (False, True):
        answers = [await get(front.port, target, *fields) for fields in asks]
        assert [told(answer) for answer in answers] == direct
        assert [status_of(answer)[0] == "hit" for answer in answers] == [stored] * len(asks)
    plain = [gzip.decompress(body) if index % 2 == 0 else body for index, (_, _, body) in enumerate(direct)]
    assert plain == [SITE[f"hello.html.{language}"] for language in ("de", "de", "en", "en", "en", "en")]


async def test_a_confirmed_coding_stays_with_those_who_take_it(apache: Apache, front: Proxy) -> None:
    """Apache's 304 does not name Accept-Encoding in Vary as its 200 did: still nobody gets gzip who did not ask for it."""
    target = unseen("hello", "/checked")
    direct = await get(apache.port, target)
    for fields in ((), (GZIP,), (GZIP,)):
        await get(front.port, target, *fields)
    assert told(await get(front.port, target)) == told(direct)


async def test_a_change_is_seen(apache: Apache, front: Proxy) -> None:
    """What is asked about is new at once, what is fresh with the next reload; a part of the old is not mixed with it."""
    targets = kept, checked, untouched = [unseen("news.html", room) for room in ("", "/checked", "/checked")]
    old = [await get(front.port, target) for target in targets]
    apache.put("news.html", b"<h1>New</h1>\n" + LINES, WRITTEN + 3600)
    new = [await get(apache.port, target) for target in targets]
    assert told(old[0])[2] != told(new[0])[2]
    assert told(await get(front.port, kept)) == told(old[0])
    seen = await get(front.port, checked)
    assert (told(seen), (await front.line(seen))["outcome"]) == (told(new[1]), "expired")
    assert told(await get(front.port, kept, b"Cache-Control: no-cache")) == told(new[0])
    assert status_of(await get(front.port, kept)) == ("hit", ANY)
    for target in (untouched, checked, kept):
        stale, current = [filled(RANGES["if its tag"], answer) for answer in (old[0], new[0])]
        for fields in ((stale,), (current,), (b"If-None-Match: " + old[0].value(b"etag"),)):
            direct, through = [await get(port, target, *fields) for port in (apache.port, front.port)]
            assert told(through) == told(direct)
            assert through.status == (206 if fields == (current,) else 200)
