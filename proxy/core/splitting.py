"""How a rule splits: what its requests are cut into, which of them are worth it, and what one of them may cost."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from proxy.core import part_key
from proxy.core.composite import Cut, Limits
from proxy.core.fan_out import Bounds
from proxy.core.merge import Merge
from proxy.core.split import Splitter
from proxy.core.types import Request
from proxy.core.validation import unconditional


@dataclass(frozen=True, slots=True)
class Splitting:
    """The splitter and the merge of a rule; a request with fewer than `min_parts` is not worth it.

    Neither is one of a rule that nobody has seen take longer than `slower_than` seconds. `signature` sets the parts of
    this splitting apart from all others.
    """

    by: Splitter
    merge: Merge
    min_parts: int = 2
    slower_than: float | None = None
    bounds: Bounds = field(default_factory=Bounds)
    limits: Limits = field(default_factory=Limits)
    signature: bytes = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "signature", part_key.signature(self.by, self.merge))

    def signed(self, generation: int) -> bytes:
        """Return the signature of a generation: what was kept in another one is not found."""
        return part_key.signature(self.by, self.merge, generation) if generation else self.signature

    def cut(self, request: Request, *, least: int | None = None) -> Cut | None:
        """Return the parts of a request, None where there are none or too few: less than `least`, or `min_parts`.

        Raises Fallback where that is in doubt, or where no answers to them could be put together.
        """
        cut = self.by.plan(request, self.limits)
        if cut is None or len(cut.parts) < (self.min_parts if least is None else least):
            return None
        self.merge.check(cut.parts)
        return cut

    def named(self, request: Request) -> Cut | None:
        """Return the parts that a request names, however few: what is said of it is said of these."""
        return self.by.plan(request, self.limits)

    @property
    def residual(self) -> Bounds:
        """Return how missing parts are asked for: each alone where no answer tells whose an item is."""
        return replace(self.bounds, residual="each") if self.merge.one_each else self.bounds

    def asked(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the request for some parts, whose answer can be cut: whole, and not compressed."""
        built = unconditional(self.by.build(request, cut, places))
        kept = [field for field in built.headers if field[0] not in {b"accept-encoding", b"range", b"if-range"}]
        return replace(built, headers=(*kept, (b"accept-encoding", b"identity")))
