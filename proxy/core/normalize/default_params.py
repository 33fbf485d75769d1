"""`default_params`: a parameter with its default value means the same as none."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core.params import exact, names_of, params_of, with_params
from proxy.core.types import Params, Query


@dataclass(frozen=True, slots=True)
class DefaultParams:
    """Drop each named parameter that equals its default, or one of several values that mean the default, byte for byte.

    One that comes twice, be it in the query part and the form, stays: a service may read either. So do all where the
    body is a form that `form` has not read before. Raises ValueError for a name with `*`.
    """

    version: ClassVar[int] = 1

    values: Mapping[str, str | tuple[str, ...]]
    _defaults: Mapping[bytes, frozenset[bytes]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lists = {exact(name): (value,) if isinstance(value, str) else value for name, value in self.values.items()}
        object.__setattr__(self, "_defaults", {name: frozenset(map(str.encode, of)) for name, of in lists.items()})

    def normalize(self, query: Query) -> Query:
        """Return `query` without the parameters that say what the service takes for granted."""
        query = with_params(query, params_of(query), query.form)
        names = names_of(query)
        if names is None or self._defaults.keys().isdisjoint(names):
            return query
        once = {name for name, times in Counter(names).items() if times == 1}
        form = None if query.form is None else self._without(query.form, once)
        return with_params(query, self._without(params_of(query), once), form)

    def _without(self, pairs: Params, once: set[bytes]) -> Params:
        defaults = self._defaults
        return tuple([pair for pair in pairs if pair[0] not in once or pair[1] not in defaults.get(pair[0], ())])
