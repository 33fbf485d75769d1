"""A file of what was asked → what is to be asked: URLs and paths, lines of our log, or a HAR file, told by their content."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from proxy.core.types import Request
from proxy.warm.har import entries, is_har, wanted_of
from proxy.warm.logged import Logged
from proxy.warm.reading import Torn, lines, unpacked
from proxy.warm.wanted import LeftOut, Unreadable, Wanted, absolute, origin_form

MOST_KEPT_BYTES = 2**28
ANOTHER_HOST = "another host"
_MOST_SHOWN = 5
_MOST_HOSTS = 1000
_BEGINNING_BYTES = 2**10


@dataclass(slots=True)
class Source:
    """What was found in a file: requests, costliest first; how many were left out, by reason; what is unreadable.

    `hosts` are those of requests that were left out for theirs. `shown` are the first few of the `unreadable`: where,
    and why.
    """

    wanted: list[Wanted] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    shown: list[str] = field(default_factory=list)


def read(chunks: Iterable[bytes], hosts: Iterable[str] = ()) -> Source:
    """Read a file, packed or not; whatever is in it, it is no error. At most 256 MiB of requests are kept.

    `hosts` are those whose URLs are taken. Without any, all are; of a HAR file, whose pages ask anybody, that of its
    first entry.
    """
    reader = _Reader({host.lower().encode() for host in hosts})
    try:
        beginning, content = _peeked(unpacked(chunks))
        if is_har(beginning):
            reader.har(content)
        else:
            reader.lines(content)
    except (Torn, Unreadable) as error:
        reader.refuse("its end", error)
    return reader.read()


def _peeked(content: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    beginning, torn = b"", None
    try:
        while len(beginning) < _BEGINNING_BYTES and (more := next(content, b"")):
            beginning += more
    except Torn as error:
        torn = error
    return beginning, _whole(beginning, content, torn)


def _whole(beginning: bytes, content: Iterator[bytes], torn: Torn | None) -> Iterator[bytes]:
    yield beginning
    if torn is not None:
        raise torn
    yield from content


class _Reader:
    def __init__(self, hosts: set[bytes]) -> None:
        self._source = Source()
        self._hosts = hosts
        self._logged = Logged()
        self._known: dict[str, Wanted] = {}
        self._left = MOST_KEPT_BYTES

    def lines(self, content: Iterator[bytes]) -> None:
        """Take lines, each for itself: lists and logs may stand in one file."""
        for number, line in enumerate(lines(content), 1):
            try:
                self._line(line)
            except Unreadable as error:
                self.refuse(f"line {number}", error)
            except LeftOut as left:
                self._source.left_out[left.reason] += 1

    def _line(self, line: bytes | None) -> None:
        if line is None:
            raise Unreadable("longer than 1 MiB")
        line = line.strip()
        if line.startswith(b"{"):
            logged = self._logged.add(line)
            if logged is not None:
                self._keep(logged)
        elif line and not line.startswith(b"#"):
            self._keep(_listed(line))

    def har(self, content: Iterator[bytes]) -> None:
        """Take the entries of a HAR file."""
        for number, entry in enumerate(entries(content), 1):
            try:
                if entry is None:
                    raise Unreadable("larger than 32 MiB")
                wanted = wanted_of(entry)
                self._hosts = self._hosts or {wanted.request.fields[b"host"]}
                self._keep(wanted)
            except Unreadable as error:
                self.refuse(f"entry {number}", error)
            except LeftOut as left:
                self._source.left_out[left.reason] += 1

    def _keep(self, wanted: Wanted) -> None:
        host = wanted.request.header(b"host")
        if self._hosts and host is not None and host not in self._hosts:
            if len(self._source.hosts) < _MOST_HOSTS:
                self._source.hosts[host.decode("ascii")] += 1
            raise LeftOut(ANOTHER_HOST)
        known = self._known.get(digest := wanted.digest)
        if known is None:
            if wanted.size_bytes > self._left:
                raise LeftOut("more than 256 MiB of requests")
            self._left -= wanted.size_bytes
        if known is None or known.cost_s < wanted.cost_s:
            self._known[digest] = wanted

    def refuse(self, where: str, error: Exception) -> None:
        """Count what cannot be read."""
        self._source.unreadable += 1
        if len(self._source.shown) < _MOST_SHOWN:
            self._source.shown.append(f"{where}: {error}")

    def read(self) -> Source:
        """Return all that was found."""
        source = self._source
        for wanted in self._logged.wanted(source.left_out):
            try:
                self._keep(wanted)
            except LeftOut as left:
                source.left_out[left.reason] += 1
        source.wanted = sorted(self._known.values(), key=lambda one: -one.cost_s)
        return source


def _listed(line: bytes) -> Wanted:
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise Unreadable("not UTF-8") from error
    if text.startswith("/"):
        return Wanted(Request("GET", origin_form(text)))
    host, target = absolute(text)
    return Wanted(Request("GET", target, ((b"host", host),)))
