"""The Friday switch: while it is on, every request goes straight upstream; what is stored stays stored.

A file in the state folder is the switch, so that all processes of one proxy follow it, and a restart too.
"""

from pathlib import Path

LOOK_EVERY_S = 0.5


class Bypass:
    """Whether all requests pass through; `file` is there while they do, or None where no file can be kept.

    `tell` reaches processes that do not see the file.
    """

    def __init__(self, file: Path | None = None) -> None:
        self._file = file
        self.on = False
        self.tell = _tell_nobody
        self.look()

    @property
    def file(self) -> Path | None:
        """Return the file that is the switch; None where there is none any more."""
        return self._file

    def look(self) -> bool:
        """Follow the file; tell whether the switch has changed. A file that cannot be looked at changes nothing."""
        before = self.on
        if self._file is not None:
            try:
                self.on = self._file.exists()
            except OSError:
                pass
        return self.on is not before

    def since(self) -> float:
        """Return when the file was made or touched, in wall-clock seconds; 0 where there is none."""
        try:
            return self._file.stat().st_mtime if self._file is not None else 0.0
        except OSError:
            return 0.0

    def turn(self, *, on: bool) -> bool:
        """Turn it on or off, here and for all who follow; tell whether it has changed."""
        self.tell(on)
        return self.follow(on=on)

    def follow(self, *, on: bool) -> bool:
        """Turn it as another process says, for all who follow the file; tell whether it has changed.

        Where the file cannot be written, it is turned for this process only.
        """
        before, self.on = self.on, on
        if self._file is not None:
            try:
                if on:
                    self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                    self._file.touch(mode=0o600)
                else:
                    self._file.unlink(missing_ok=True)
            except OSError:
                self._file = None
        return self.on is not before


def _tell_nobody(on: bool) -> None:
    """Do nothing: there is no other process."""
