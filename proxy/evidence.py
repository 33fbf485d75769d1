"""What a whole answer is evidence of: of its rule's split, and of its normalized key."""

from proxy.core.rollout import NORMALIZE, SPLIT
from proxy.cutting import Answer
from proxy.places import Found
from proxy.reassembly import Reassembly
from proxy.spellings import Spellings
from proxy.tasks import Tasks


class Evidence:
    """Hands whole answers that have left to those who learn from them."""

    def __init__(self, reassembly: Reassembly, spellings: Spellings, tasks: Tasks) -> None:
        self._reassembly = reassembly
        self._spellings = spellings
        self._tasks = tasks

    def __call__(self, answer: Answer, found: Found) -> None:
        """Learn from a whole answer, beside all else: nobody waits for this, in no process."""
        self._tasks.start(self._learn(answer, found))

    async def _learn(self, answer: Answer, found: Found) -> None:
        features = answer.asked.rule.features
        if NORMALIZE in features:
            await self._spellings.heard(answer, found)
        if SPLIT in features:
            await self._reassembly(answer)
