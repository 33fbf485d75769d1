"""Who learns from a whole answer: those whose feature its rule has, and of keys first."""

from typing import Any

import pytest
from fakes import until
from shop import splitting_rule
from trusted import asks, two_rule
from world import rule

from proxy.core.normalize.sort_params import SortParams
from proxy.core.rules import Rule
from proxy.cutting import Answer
from proxy.evidence import Evidence
from proxy.tasks import Tasks


class Learner:
    """Remembers what it was told."""

    def __init__(self, name: str, told: list[tuple[Any, ...]]) -> None:
        self._name, self._told = name, told

    async def __call__(self, *seen: Any) -> None:
        self._told.append((self._name, *seen))

    heard = __call__


RULES: dict[str, tuple[Rule, list[str]]] = {
    "both": (two_rule(), ["spellings", "reassembly"]),
    "a split": (splitting_rule(), ["reassembly"]),
    "a normalized key": (rule(normalizers=(SortParams(),)), ["spellings"]),
    "neither": (rule(), []),
}


@pytest.mark.parametrize(("one", "names"), RULES.values(), ids=RULES)
async def test_each_learns_of_its_own_feature(one: Rule, names: list[str]) -> None:
    told: list[tuple[Any, ...]] = []
    found: Any = object()
    fields: Any = (None, b"", None, 0.0, 0.0, 0.0)
    answer = Answer(asks(one), *fields)
    learners: Any = (Learner("reassembly", told), Learner("spellings", told))
    tasks = Tasks(lambda error: told.append((error,)))
    Evidence(*learners, tasks)(answer, found)
    assert told == []  # nobody waits for it
    await until(lambda: not tasks)
    seen = {"spellings": ("spellings", answer, found), "reassembly": ("reassembly", answer)}
    assert told == [seen[name] for name in names]
