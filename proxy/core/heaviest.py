"""Which of very many keys are the heaviest: their sums in bounded memory, each with the most that it may lack."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Heavy:
    """One key's sum since it was last taken up, its count and a note; it had at most `missed` before that."""

    amount: float = 0.0
    n: float = 0.0
    missed: float = 0.0
    note: str = ""


@dataclass(slots=True)
class Heaviest:
    """Sums by key; of more than twice `most` keys, the lighter are let go (after Misra & Gries, 1982).

    A key whose true sum is above `floor` is held for certain, and its true sum is within `amount` and `amount + missed`.
    """

    most: int
    floor: float = 0.0
    held: dict[str, Heavy] = field(default_factory=dict)

    def add(self, key: str, amount: float, n: float, note: str) -> None:
        """Add to a key's sum (0 or more) and count."""
        one = self.held.get(key)
        if one is None:
            if len(self.held) >= 2 * self.most:
                self._let_go()
            one = self.held[key] = Heavy(missed=self.floor, note=note)
        one.amount += amount
        one.n += n

    def _let_go(self) -> None:
        ranked = sorted(self.held.items(), key=lambda item: -(item[1].amount + item[1].missed))
        let_go = ranked[self.most :]
        self.floor = max(self.floor, let_go[0][1].amount + let_go[0][1].missed)
        self.held = dict(ranked[: self.most])

    def top(self, count: int) -> list[tuple[str, Heavy]]:
        """Return the heaviest, the heaviest first."""
        return sorted(self.held.items(), key=lambda item: (-item[1].amount, item[0]))[:count]
