"""One setting of a detector: read from text by its JSON Schema, and checked with a message that helps."""

import json
from collections.abc import Mapping
from typing import cast

from ad_platform.errors import InvalidValue, suggest
from ad_platform.specs import Json

TRUE, FALSE = frozenset({"true", "yes", "on"}), frozenset({"false", "no", "off"})


def parse(name: str, text: str, schema: Mapping[str, Json]) -> Json:
    """Read a text by the types the schema allows; raise InvalidValue when none of them fits.

    A list is written "a,b", nothing at all "none".
    """
    options = _options(schema)
    # A choice may be spelled like a number or like "none": what is written exactly wins.
    for choice in _choices(schema):
        if text == choice or (not isinstance(choice, str) and text == json.dumps(choice)):
            return choice
    same = [each for each in _choices(schema) if isinstance(each, str) and each.casefold() == text.casefold()]
    if len(same) == 1:
        return same[0]
    for option in sorted(options, key=_text_last):
        value = _read(name, text, option)
        if value is not _UNREAD:
            return cast("Json", value)
    raise InvalidValue(f"{name} must be {describe(schema)}, not '{text}'")


def problem_of(name: str, value: Json, schema: Mapping[str, Json]) -> str | None:
    """Say in one line why a value cannot be, with the range it must lie in; None if it can."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(dict(schema))
    error = next(iter(validator.iter_errors(value)), None)
    if error is None:
        return None
    choices = [str(choice) for choice in _choices(schema)]
    if isinstance(value, str) and choices:
        return f"{name} must be {describe(schema)}, not '{value}'; {suggest(value, choices)}"
    return f"{name} must be {describe(schema)}, not {json.dumps(value)}"


def describe(schema: Mapping[str, Json]) -> str:
    """Say what values a schema allows: "an integer from 8 to 512", "one of a, b", "a number above 0"."""
    return " or ".join(_describe_one(option) for option in _options(schema))


def _describe_one(schema: Mapping[str, Json]) -> str:
    if choices := _choices(schema):
        return "one of " + ", ".join(str(choice) for choice in choices)
    kind = str(schema.get("type", "any value"))
    names = {"integer": "an integer", "number": "a number", "boolean": "true or false", "string": "a text"}
    if kind == "null":
        return "none"
    if kind == "array":
        return _describe_list(schema)
    return names.get(kind, kind) + _range(schema)


def _describe_list(schema: Mapping[str, Json]) -> str:
    items = schema.get("items")
    inner = f" (each {describe(items)})" if isinstance(items, dict) and items else ""
    least, most = schema.get("minItems"), schema.get("maxItems")
    if least is not None and least == most:
        return f"a list of {least} values{inner}"
    size = f" with {least} or more values" if least else ""
    size = f" with {least or 0} to {most} values" if most is not None else size
    return f"a list written a,b,c{size}{inner}"


def _range(schema: Mapping[str, Json]) -> str:
    low, high = schema.get("minimum"), schema.get("maximum")
    above, below = schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum")
    step = f" in steps of {schema['multipleOf']}" if "multipleOf" in schema else ""
    if low is not None and high is not None:
        return f" from {low} to {high}{step}"
    lower = f"of at least {low}" if low is not None else f"above {above}" if above is not None else ""
    upper = f"at most {high}" if high is not None else f"below {below}" if below is not None else ""
    return "".join(
        [" " + " and ".join(part for part in (lower, upper) if part) if lower or upper else "", step]
    )


def _options(schema: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    for word in ("anyOf", "oneOf"):
        if isinstance(schema.get(word), list):
            return cast("list[Mapping[str, Json]]", schema[word])
    kinds = schema.get("type")
    if isinstance(kinds, list):
        return [{**schema, "type": kind} for kind in kinds]
    return [schema]


def _choices(schema: Mapping[str, Json]) -> list[Json]:
    found: list[Json] = []
    for option in _options(schema):
        if "const" in option:
            found.append(option["const"])
        found.extend(cast("list[Json]", option.get("enum") or []))
    return found


def _text_last(schema: Mapping[str, Json]) -> bool:
    return schema.get("type") == "string"


class _Unread:
    """Stands for a text that is no value of the wanted type; None is a value."""


_UNREAD = _Unread()


def _read(name: str, text: str, schema: Mapping[str, Json]) -> Json | _Unread:
    kind = schema.get("type")
    word = text.lower()
    if kind == "null":
        return None if word in {"none", "null"} else _UNREAD
    if kind == "boolean":
        return True if word in TRUE else False if word in FALSE else _UNREAD
    if kind in {"integer", "number"}:
        return _number(text, whole=kind == "integer")
    if kind == "array":
        return _list(name, text, schema)
    return text


def _number(text: str, *, whole: bool) -> Json | _Unread:
    try:
        if whole:
            return int(text)
        value = float(text)
    except ValueError:
        return _UNREAD
    # JSON has neither infinity nor NaN, and no setting means anything by them.
    return value if abs(value) < float("inf") else _UNREAD


def _list(name: str, text: str, schema: Mapping[str, Json]) -> Json | _Unread:
    if text.startswith("["):
        try:
            return cast("Json", json.loads(text))
        except ValueError:
            return _UNREAD
    items = schema.get("items")
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not isinstance(items, dict) or not items:
        return list(parts)
    return [parse(name, part, items) for part in parts]
