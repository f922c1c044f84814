"""Values that surely fit their JSON Schema, told without the validator, which is slow to load."""

import re
from collections.abc import Mapping
from typing import cast

from ad_platform.specs import Json

NOTES = frozenset({"title", "description", "default", "examples", "$defs", "$comment"})  # they forbid nothing
BOUNDS = frozenset({"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"})
SIZES = frozenset({"items", "minItems", "maxItems"})


def plainly_fits(value: Json, schema: Mapping[str, Json]) -> bool:
    """Say whether a value surely fits; False may also mean that only a full validator can tell."""
    words = set(schema) - NOTES
    if words == {"anyOf"}:
        return any(
            plainly_fits(value, option) for option in cast("list[Mapping[str, Json]]", schema["anyOf"])
        )
    kind = schema.get("type")
    if "const" in words or "enum" in words:
        choices = [schema["const"]] if "const" in words else cast("list[Json]", schema["enum"])
        return (
            words <= {"const", "enum", "type"}
            and len(words - {"type"}) == 1
            and _chosen(value, choices, kind)
        )
    if not isinstance(kind, str) or not _is_of(value, kind):
        return False
    words.discard("type")
    if kind in {"integer", "number"}:
        return words <= BOUNDS and _within(cast("float", value), schema)
    if kind == "array":
        return words <= SIZES and _items_fit(cast("list[Json]", value), schema)
    if kind == "string" and words == {"pattern"}:
        return re.search(cast("str", schema["pattern"]), cast("str", value)) is not None
    return not words


def _chosen(value: Json, choices: list[Json], kind: Json) -> bool:
    # By type too: to JSON Schema true is not 1, to Python it is. Lists are left to the validator.
    same = any(type(value) is type(choice) and value == choice for choice in choices)
    return same and not isinstance(value, list | dict) and (kind is None or _is_of(value, kind))


def _is_of(value: Json, kind: Json) -> bool:
    if kind == "number":
        return type(value) is int or (type(value) is float and abs(value) < float("inf"))
    types = {"null": type(None), "boolean": bool, "integer": int, "string": str, "array": list}
    return isinstance(kind, str) and type(value) is types.get(kind)


def _within(value: float, schema: Mapping[str, Json]) -> bool:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = schema.get("multipleOf")
    return (
        # Of fractions the validator has its own way to say what is a multiple.
        (step is None or (type(value) is int and type(step) is int and value % step == 0))
        and (low is None or value >= cast("float", low))
        and (high is None or value <= cast("float", high))
        and (above is None or value > cast("float", above))
        and (below is None or value < cast("float", below))
    )


def _items_fit(values: list[Json], schema: Mapping[str, Json]) -> bool:
    least, most, items = schema.get("minItems", 0), schema.get("maxItems"), schema.get("items")
    if len(values) < cast("int", least) or (most is not None and len(values) > cast("int", most)):
        return False
    return items is None or (isinstance(items, dict) and all(plainly_fits(value, items) for value in values))
