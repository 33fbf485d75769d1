"""What several processes share, in this one: a board of notes, and leases, on a clock that stands still."""

from fakes import FakeClock


class Board:
    """Keeps notes and leases until their time is up; fails when told."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self.pinned: dict[str, bytes] = {}
        self.leases: dict[bytes, tuple[str, float]] = {}
        self._until: dict[str, float] = {}
        self.written = 0
        self.fails = False

    def _check(self) -> None:
        if self.fails:
            raise ConnectionError("gone")

    async def pin(self, name: str, note: bytes, lasts_s: float) -> None:
        self._check()
        self.written += 1
        self.pinned[name] = note
        self._until[name] = self._clock.wall() + lasts_s
        if lasts_s < 1:
            del self.pinned[name]

    def forget_what_is_over(self) -> None:
        """Let notes go that nobody has renewed."""
        self.pinned = {name: note for name, note in self.pinned.items() if self._until[name] > self._clock.wall()}

    async def notes(self, prefix: str) -> dict[str, bytes]:
        self._check()
        return {name: note for name, note in self.pinned.items() if name.startswith(prefix)}

    async def lease(self, key: bytes, owner: str, lasts_s: float) -> int | None:
        self._check()
        now = self._clock.wall()
        holder, until = self.leases.get(key, (owner, 0.0))
        if holder != owner and until > now:
            return None
        self.leases[key] = (owner, now + lasts_s)
        return 1

    async def release(self, key: bytes, owner: str) -> None:
        self._check()
        if self.leases.get(key, ("", 0.0))[0] == owner:
            del self.leases[key]
