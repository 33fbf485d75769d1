"""A mapping of the config: its keys are known, its values final, and a bare value may stand for it."""

import pytest
from pydantic import ValidationError

from proxy.shape import Shape


class Plain(Shape):
    """A mapping without a short form."""

    size: int = 1
    """How large."""


class Limit(Shape):
    """What a bare number stands for."""

    short = ("limit",)
    limit: int
    dry_run: bool = False


class Both(Shape):
    """What a bare number says of two things."""

    short = ("least", "most")
    least: int = 0
    most: int = 0


class Inner(Shape):
    """A mapping in a mapping."""

    limit: Limit = Limit(limit=3)


READ = {
    "nothing": (Plain, {}, {"size": 1}),
    "a mapping": (Plain, {"size": 2}, {"size": 2}),
    "a bare value": (Limit, 5, {"limit": 5, "dry_run": False}),
    "its long form": (Limit, {"limit": 5, "dry_run": True}, {"limit": 5, "dry_run": True}),
    "a bare value for two": (Both, 7, {"least": 7, "most": 7}),
    "inside another": (Inner, {"limit": 5}, {"limit": {"limit": 5, "dry_run": False}}),
}


@pytest.mark.parametrize(("shape", "given", "read"), READ.values(), ids=READ)
def test_what_is_read(shape: type[Shape], given: object, read: object) -> None:
    assert shape.model_validate(given).model_dump() == read


WRONG = {
    "another key": (Plain, {"sise": 2}),
    "another kind of value": (Plain, {"size": "2"}),
    "a bare value where none may stand": (Plain, 2),
    "a bare value of another kind": (Limit, "5"),
    "no value for what has no default": (Limit, {"dry_run": True}),
}


@pytest.mark.parametrize(("shape", "given"), WRONG.values(), ids=WRONG)
def test_what_is_not(shape: type[Shape], given: object) -> None:
    with pytest.raises(ValidationError):
        shape.model_validate(given)


def test_what_was_read_does_not_change() -> None:
    with pytest.raises(ValidationError):
        Plain().size = 2  # type: ignore[misc]


def test_editors_know_the_keys_and_what_they_mean() -> None:
    schema = Plain.model_json_schema()
    assert (schema["additionalProperties"], schema["properties"]["size"]["description"]) == (False, "How large.")


def test_editors_accept_the_short_form_where_there_is_one() -> None:
    short, long = Limit.model_json_schema()["anyOf"]
    assert short["type"] == "integer"
    assert set(long["properties"]) == {"limit", "dry_run"}
    assert "anyOf" not in Plain.model_json_schema()
