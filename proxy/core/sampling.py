"""Which request lines are written where not all are: whatever is of interest, and a fixed share of the rest."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from proxy.core.log_line import LogLine
from proxy.core.types import Outcome

_SPACE: Final = 2**64
_SERVER_ERROR: Final = 500


@dataclass(frozen=True, slots=True)
class Sampling:
    """Writes all lines of errors, fallbacks, mismatches, and what took `slower_than` seconds; of others `rate` (0…1).

    What is compared once it has left may yet be a mismatch.

    The lines of one trace are written together: whether they are depends on its id, else on the request's.
    """

    rate: float
    slower_than: float = 1.0

    def keeps(self, line: LogLine) -> bool:
        """Tell whether a line is written, and note in it the share of lines like it that are."""
        if self._is_of_interest(line):
            line.sample_rate = 1.0
            return True
        line.sample_rate = self.rate
        digest = blake2b((line.trace_id or line.request_id).encode(), digest_size=8).digest()
        return int.from_bytes(digest) < self.rate * _SPACE

    def _is_of_interest(self, line: LogLine) -> bool:
        passed_in_vain = line.outcome is Outcome.PASSTHROUGH and line.rule is not None
        return (
            line.error is not None
            or line.error_source is not None
            or line.outcome is Outcome.ERROR
            or (line.status or 0) >= _SERVER_ERROR
            or line.duration_s >= self.slower_than
            or line.fell_back is not None
            or line.would_differ is True
            or line.after is not None
            or passed_in_vain
        )
