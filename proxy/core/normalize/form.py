"""`form`: a urlencoded body means its pairs, in any order of their names."""

from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import ClassVar

from proxy.core.params import Matches, is_one, matcher, parse
from proxy.core.reasons import Reason
from proxy.core.types import Query
from proxy.errors import Fallback

_MEDIA_TYPE = b"application/x-www-form-urlencoded"
_name = itemgetter(0)


@dataclass(frozen=True, slots=True)
class Form:
    """Let a urlencoded body stand as pairs sorted by name: without those in `ignore`, and only those in `only`, if any."""

    version: ClassVar[int] = 1

    ignore: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    _ignored: Matches = field(init=False, repr=False, compare=False)
    _wanted: Matches = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ignored", matcher(self.ignore))
        object.__setattr__(self, "_wanted", matcher(self.only or ("*",)))

    def normalize(self, query: Query) -> Query:
        """Return `query` with its form in place of its body; raises Fallback if the body is of another media type."""
        if query.media_type.partition(b";")[0].strip().lower() != _MEDIA_TYPE:
            if query.body:
                raise Fallback(Reason.KEY_BODY_SYNTAX)
            return query
        pairs = parse(query.body) if query.body else query.form or ()  # the form is there when it is done again
        kept = [pair for pair in pairs if (self._wanted(pair[0]) and not self._ignored(pair[0])) or not is_one(pair)]
        return replace(query, body=b"", form=tuple(sorted(kept, key=_name)))
