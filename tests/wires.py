"""A wire between processes that are all in this one."""

from collections.abc import Callable


class Switchboard:
    """Connects wires: what one sends, the others hear at once."""

    def __init__(self) -> None:
        self.wires: list[FakeWire] = []

    def wire(self) -> "FakeWire":
        self.wires.append(FakeWire(self))
        return self.wires[-1]


class FakeWire:
    """One end; `cut` loses what it sends."""

    def __init__(self, board: Switchboard) -> None:
        self._board = board
        self.hears: list[Callable[[bytes], None]] = []
        self.cut = False

    async def send(self, message: bytes) -> None:
        assert len(message) <= 4096
        for other in self._board.wires:
            if other is not self and not self.cut:
                for hear in other.hears:
                    hear(message)

    def listen(self, hear: Callable[[bytes], None]) -> None:
        self.hears.append(hear)

    async def close(self) -> None:
        self._board.wires.remove(self)
