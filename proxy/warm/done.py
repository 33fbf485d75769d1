"""What was done in earlier runs, in a file that grows by a line with each request: a kill loses the last one at most."""

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Self

_DIGEST = re.compile(rb"[0-9a-f]{32}")
_MOST_BYTES = 2**29


class Done:
    """Remembers digests of requests, in a file or, without one, not at all; a file of 512 MiB is full.

    Raises OSError where the file cannot be read or written, ValueError where it is another's.
    """

    def __init__(self, file: Path | None) -> None:
        self._known: set[bytes] = set()
        self._file: int | None = None
        if file is None:
            return
        self._file = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            self._load(file)
        except BaseException:
            os.close(self._file)
            raise

    def _load(self, file: Path) -> None:
        with file.open("rb") as lines:
            whole = lines.read(_MOST_BYTES + 1)
        if len(whole) > _MOST_BYTES:
            raise ValueError("it is larger than 512 MiB")
        *complete, last = whole.split(b"\n")
        if any(not _DIGEST.fullmatch(line) for line in complete if line) or not re.fullmatch(rb"[0-9a-f]{0,32}", last):
            raise ValueError("it is no file of `frontrunner warm`")
        self._known.update(line for line in complete if line)
        if last and self._file is not None:  # a kill came in the middle of it
            os.ftruncate(self._file, len(whole) - len(last))

    def __contains__(self, digest: str) -> bool:
        return digest.encode() in self._known

    def add(self, digest: str) -> None:
        """Remember one, before anything else happens."""
        if self._file is not None:
            os.write(self._file, digest.encode() + b"\n")
            self._known.add(digest.encode())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._file is not None:
            os.close(self._file)
