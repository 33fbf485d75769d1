"""`sort_params`: the order of parameters with different names means nothing."""

from dataclasses import dataclass
from operator import itemgetter
from typing import ClassVar

from proxy.core.params import params_of, with_params
from proxy.core.types import Query

_name = itemgetter(0)


@dataclass(frozen=True, slots=True)
class SortParams:
    """Sort the query's pairs by name; values of one name keep their order."""

    version: ClassVar[int] = 1

    def normalize(self, query: Query) -> Query:
        """Return `query` with its pairs sorted."""
        return with_params(query, tuple(sorted(params_of(query), key=_name)), query.form)
