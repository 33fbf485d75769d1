"""What the processes of one machine tell each other about the slots that they share.

A slot came free; so many clients wait here; the limit changed; the upstream is back. Nothing depends on a message's
arrival: who waits also looks by himself, and what was told is forgotten soon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

MARK = b"s"
"""How each of these messages begins on a wire that others use too."""
LASTS_S = 1.6
"""How long a number of waiting clients holds; who still waits says so twice a second."""


class News(Enum):
    """What a message says."""

    FREE = b"f"
    WAITING = b"w"
    LIMIT = b"l"
    UP = b"u"


@dataclass(frozen=True, slots=True)
class Heard:
    """A message: what, and its number (of who wait, or the limit)."""

    news: News
    number: float = 0.0


class Neighbours:
    """The other processes; `name` is this one's, `tell` sends to all others without waiting, `roll` is from 0 to 1.

    What stands before a slash in a name is the machine: others' are not heard.
    """

    def __init__(self, name: str, tell: Callable[[bytes], None], roll: Callable[[], float]) -> None:
        self._name = name
        self._tell = tell
        self.roll = roll
        self._waiting: dict[str, tuple[int, float]] = {}
        self._told = 0

    def tell(self, news: News, number: float = 0.0) -> None:
        """Tell the others."""
        self._tell(b" ".join([MARK + news.value, self._name.encode(), b"%.4f" % number]))

    def tell_waiting(self, number: int, *, again: bool = False) -> None:
        """Tell how many clients wait here, when that begins or ends, or `again`."""
        if bool(number) != bool(self._told) or (again and number):
            self._told = number
            self.tell(News.WAITING, number)

    def hear(self, message: bytes, now: float) -> Heard | None:
        """Return what a message says; None where it is not one of these."""
        words = message.split(b" ")
        if not message.startswith(MARK) or len(words) != 3:
            return None
        try:
            heard, name = Heard(News(words[0][1:]), float(words[2])), words[1].decode()
        except ValueError:
            return None
        if name.rpartition("/")[0] != self._name.rpartition("/")[0]:
            return None
        if heard.news is News.WAITING:
            self._waiting[name] = (int(heard.number), now + LASTS_S)
        return heard

    def waiting(self, now: float) -> int:
        """Return how many clients wait elsewhere."""
        for name, (number, until) in list(self._waiting.items()):
            if number == 0 or now >= until:
                del self._waiting[name]
        return sum([number for number, _ in self._waiting.values()])

    def are_due(self, here: int, now: float) -> bool:
        """Tell whether a slot that came free here is for one of theirs: by lot, each client with the same chance."""
        there = self.waiting(now)
        return there > 0 and self.roll() * (here + there) >= here
