"""Our own names: flat, the unit in the name."""

from collections.abc import Mapping
from typing import Any


class Flat:
    """The fields as they are."""

    def rename(self, fields: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the same fields."""
        return fields
