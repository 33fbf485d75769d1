"""Normalizers, Query → Query: to add one, write `word.py` here with a frozen slotted dataclass `Word` that is a Normalizer and whose fields are its options, and `tests/core/normalize/test_word.py`."""

from typing import ClassVar, Protocol

from proxy.core.types import Query


class Normalizer(Protocol):
    """One step towards the normal form: pure, and idempotent, since a request may already have its normal form.

    `version` is part of every key: raise it when the same request gets another normal form than before.
    """

    version: ClassVar[int]

    def normalize(self, query: Query) -> Query:
        """Return `query` with differences taken out that do not change the answer; raises Fallback if it cannot."""
        ...
