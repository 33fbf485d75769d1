"""A mapping of config.yaml: its known keys, and its short form."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, GetJsonSchemaHandler, model_validator
from pydantic_core import CoreSchema


class Shape(BaseModel):
    """A mapping with known keys; a bare value stands for the first `short` of them, if it has any."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)
    short: ClassVar[tuple[str, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, value: Any) -> Any:
        return value if isinstance(value, dict) or not cls.short else dict.fromkeys(cls.short, value)

    @classmethod
    def short_schema(cls, members: Mapping[str, Any]) -> Any:
        """Return what editors may accept in place of the mapping, if anything."""
        return members[cls.short[0]] if cls.short else None

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Let editors accept the short form as well."""
        named = handler(schema)
        long = handler.resolve_ref_schema(named)
        if short := cls.short_schema(long.get("properties", {})):
            both = [short, dict(long)]
            long.clear()
            long["anyOf"] = both
        return named
