"""`json_array`: an array in a JSON body holds the parts, `{"questions": ["…", "…"]}`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from proxy.core import json_slices
from proxy.core.composite import LIMITS, Around, Cut, Limits, Part
from proxy.core.json_path import Branch, Path, compiled, meets, singular
from proxy.core.part_request import body_of, with_body
from proxy.core.reasons import Reason
from proxy.core.types import Request
from proxy.errors import Fallback


@dataclass(frozen=True, slots=True)
class JsonArray:
    """Split the array at `path`; each element is a part, as it is written.

    `id` is the path inside an element to what names it in answers, the element itself by default. A request that has
    something at one of `deny_paths` is not split: what sorts, limits or pages answers for the whole list. Raises
    ValueError for what is not a path of names and numbers.
    """

    version: ClassVar[int] = 1

    path: str
    id: str = "$"
    deny_paths: tuple[str, ...] = ()
    _branch: Branch = field(init=False, repr=False, compare=False)
    _id: Path = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        parts = singular(self.path)
        for denied in self.deny_paths:
            if meets(singular(denied), parts):
                raise ValueError(f"deny_paths: {denied!r} is the array itself, or stands in it or around it")
        object.__setattr__(self, "_branch", compiled({"parts": [self.path], "denied": self.deny_paths}))
        object.__setattr__(self, "_id", singular(self.id))

    def plan(self, request: Request, limits: Limits = LIMITS) -> Cut | None:
        """Return the array's elements; None where there is no such array or it is empty, Fallback in doubt."""
        if not request.body:
            return None
        text = body_of(request, limits)
        found = json_slices.find(text, self._branch, "parts", limits.parts)
        if any(place.mark == "denied" for place in found):
            raise Fallback(Reason.SPLIT_DENIED)
        array = found[0].span.value if found else None
        if not isinstance(array, json_slices.Held) or text[array.start] != "[" or not array.spans:
            return None
        spans = array.spans
        between = text[spans[0].end : spans[1].start] if len(spans) > 1 else ","
        around = Around(text[: array.start + 1].encode(), between.encode(), text[array.end - 1 :].encode())
        parts = tuple([self._part(text, span) for span in spans])
        return Cut(parts, with_body(request, around.of(())), around)

    def _part(self, text: str, span: json_slices.Span) -> Part:
        raw = text[span.start : span.end].encode()
        try:
            label = json_slices.name_of(json_slices.value_at(span.value, self._id))
        except Fallback:
            label = None
        return Part(raw, raw, label)

    def build(self, request: Request, cut: Cut, places: Sequence[int]) -> Request:
        """Return the request for some of the elements."""
        if len(places) == len(cut.parts) or not isinstance(cut.rest, Around):
            return request
        return with_body(request, cut.rest.of([part.raw for part in cut.picked(places)]))
