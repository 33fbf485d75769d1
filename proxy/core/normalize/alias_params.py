"""`alias_params`: these names mean the same parameter."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import exact, names_of, params_of, with_params
from proxy.core.types import Params, Query


@dataclass(frozen=True, slots=True)
class AliasParams:
    """Call each of these parameters by its first name, whichever of its `names` a request has.

    Where two of its names come, be it in the query part and the form, all of its pairs keep theirs: a service may read
    either. So do all parameters where the body is a form that `form` has not read before. Raises ValueError for a name
    with `*`, and for one that would mean two parameters.
    """

    version: ClassVar[int] = 1

    names: Mapping[str, tuple[str, ...]]
    _first: Mapping[bytes, bytes] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        first: dict[bytes, bytes] = {}
        for name, others in self.names.items():
            for one in (name, *others):
                if first.setdefault(exact(one), name.encode()) != name.encode():
                    raise ValueError(f"{one!r} is a name of two parameters")
        object.__setattr__(self, "_first", first)

    def normalize(self, query: Query) -> Query:
        """Return `query` with one name for each of these parameters."""
        query = with_params(query, params_of(query), query.form)
        names = names_of(query)
        if names is None or self._first.keys().isdisjoint(names):
            return query
        found = {name: self._first[name] for name in names if name in self._first}
        called = Counter(found.values())
        new = {name: first for name, first in found.items() if called[first] == 1}
        form = None if query.form is None else _renamed(query.form, new)
        return with_params(query, _renamed(params_of(query), new), form)


def _renamed(pairs: Params, new: Mapping[bytes, bytes]) -> Params:
    return tuple([(new.get(name, name), value) for name, value in pairs])
