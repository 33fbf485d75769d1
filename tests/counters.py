"""Processes of one proxy that count, tell each other of it, are held up, end and are killed, on one clock."""

from boards import Board
from fakes import FakeClock, LineKeeper
from wires import Switchboard

from proxy.archive import GONE_AFTER_S
from proxy.census_taker import CensusTaker, Now
from proxy.core.census import STILL_THERE_S
from proxy.core.history import window
from proxy.core.log_line import LogLine
from proxy.core.tally import Held, Tally, tally_of
from proxy.core.types import Outcome
from proxy.recent import Recent
from proxy.stats import Stats
from proxy.tasks import Tasks


class Process:
    """One process of several: counts, and tells when it is let."""

    def __init__(self, stage: "Stage", name: str, machine: str = "here", *, alone: bool = False) -> None:
        self.stage, self.log = stage, LineKeeper()
        self.tasks = Tasks(self.log.failed)
        self.stats, self.recent = Stats(stage.clock), Recent(stage.clock)
        self.shared = None if alone else stage.board
        self.wire = wire = None if alone else stage.wires.wire()
        self.counts = CensusTaker(
            self.stats, self.recent, lambda: Now((Held("memory", 1, 2, 3),), {"memory": 4}), self.shared, wire, self.tasks,
            stage.clock, machine=machine, name=name, failed=self.log.failed,
        )  # fmt: skip
        if wire is not None:
            wire.listen(self.counts.hear)

    def count(self, times: int = 1, seconds: float = 1.0, rule: str = "r") -> None:
        for number in range(times):
            line = LogLine(f"id-{number}", "GET", "/a", 0.0, rule=rule, outcome=Outcome.MISS, duration_s=seconds)
            self.stats.count(line)
            self.recent.add(line)

    async def keep_up(self) -> None:
        await self.counts.keep_up()

    async def tend(self) -> None:
        await self.counts.tend()

    async def n(self) -> int:
        return (await self.counts.everybodys()).operations.all().n

    async def windows(self, seconds: float = 600.0) -> int:
        return (await self.counts.everybodys(window(seconds, self.stage.clock.wall(), twice=True))).window.all().n


class Stage:
    """A board, a wire, and a clock that processes share."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.board, self.wires = Board(self.clock), Switchboard()
        self.processes: list[Process] = []

    def process(self, name: str, machine: str = "here", *, alone: bool = False) -> Process:
        self.processes.append(Process(self, name, machine, alone=alone))
        return self.processes[-1]

    def kill(self, process: Process) -> None:
        """Let it hear nothing any more."""
        process.wire.hears.clear()

    async def live(self, seconds: float, *processes: Process) -> None:
        """Let time pass in which these do what they do again and again."""
        left = seconds
        while left > 0:
            self.clock.advance(min(left, STILL_THERE_S))
            left -= STILL_THERE_S
            for process in processes:
                await process.keep_up()
            for process in processes:
                await process.tend()

    async def outlive(self, *processes: Process) -> None:
        """Let so much time pass that whoever told nothing meanwhile is gone."""
        await self.live(GONE_AFTER_S + 2 * STILL_THERE_S, *processes)

    def told(self, name: str) -> Tally | None:
        """Return the tally of this name."""
        note = self.board.pinned.get(f"tally {name}")
        return None if note is None else tally_of(note)

    def archived(self, machine: str = "here") -> int:
        """Return how many requests an archive holds."""
        told = self.told(f"archive {machine}")
        return 0 if told is None else told.operations.all().n

    async def close(self) -> None:
        for process in self.processes:
            await process.tasks.close()
