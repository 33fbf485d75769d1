"""Files of a log → a report on them, in one pass and bounded memory: plain or gzip, whatever stands in them."""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import orjson

from proxy.core.log_report import LogReport
from proxy.warm.reading import Torn, lines, unpacked

_PIECE_BYTES = 2**18


def read_into(report: LogReport, file: BinaryIO, told: Callable[[int], None]) -> None:
    """Add all lines of a file; `told` hears how many of its bytes were read, again and again.

    Raises:
        OSError: it cannot be read.
        Torn: it is packed, and cut or damaged; what stands before that was added.
    """
    add, unreadable, loads = report.add, report.unreadable, orjson.loads
    for line in lines(unpacked(_pieces(file, told))):
        if line is not None and (not line or line.isspace()):
            continue
        try:
            fields = loads(line if line is not None else b"")
        except ValueError:
            unreadable()
        else:
            add(fields)


def _pieces(file: BinaryIO, told: Callable[[int], None]) -> Iterator[bytes]:
    while piece := file.read(_PIECE_BYTES):
        yield piece
        told(len(piece))


__all__ = ["Torn", "read_into"]
