"""Configs of detectors: checked values in, flat JSON out, errors that name the range or the nearest name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from typing import Any, get_type_hints
from weakref import WeakKeyDictionary

from pydantic import TypeAdapter, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError

from ad_detectors.errors import ConfigError


@dataclass(frozen=True)
class Paper:
    """Where a detector was first described."""

    title: str
    authors: str
    year: int
    url: str


@dataclass(frozen=True)
class Published:
    """A preset as somebody published it: settings of each category, chosen on that category's test pictures.

    Nothing is held out of training under it, since the publication held out nothing.
    """

    source: str  # where the numbers stand
    base: Mapping[str, Any]  # what all categories have in common
    categories: Mapping[str, Mapping[str, Any]]  # what each sets besides, by its published name

    def settings(self, preset: str, category: str | None) -> dict[str, Any]:
        """Return what the preset sets for a category, named in any case; raise ConfigError."""
        if category is None:
            raise ConfigError(
                f"the settings of preset '{preset}' depend on the category; "
                f"name one of: {', '.join(sorted(self.categories))}"
            )
        for name, values in self.categories.items():
            if name.casefold() == category.casefold():
                return {**self.base, **values}
        raise ConfigError(
            f"preset '{preset}' was not published for the category '{category}'; "
            f"{nearest(category, list(self.categories))}"
        )


_adapters: WeakKeyDictionary[type[Any], TypeAdapter[Any]] = WeakKeyDictionary()  # each takes a millisecond


def _adapter(config_class: type[Any]) -> TypeAdapter[Any]:
    if config_class not in _adapters:
        _adapters[config_class] = TypeAdapter(config_class)
    return _adapters[config_class]


def build(config_class: type[Any], values: Mapping[str, Any]) -> Any:
    """Return the config with these values and the defaults of all other fields; raise ConfigError."""
    _refuse_unknown(config_class, values)
    try:
        # Strict, but by the rules of JSON: a list may become a tuple, "5" and 5.0 may not become 5.
        return _adapter(config_class).validate_json(_dump(values), strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise ConfigError(_explain(config_class, problem)) from error


def to_json(config: Any) -> dict[str, Any]:
    """Return every field of a config as plain JSON values; `build` gives the same config back, exactly."""
    try:
        values: dict[str, Any] = _adapter(type(config)).dump_python(config, mode="json", warnings="error")
    except PydanticSerializationError as error:
        raise ConfigError(
            f"this config cannot be written as JSON: {str(error).splitlines()[-1].strip()}"
        ) from error
    return values


def schema(config_class: type[Any]) -> dict[str, Any]:
    """Return the JSON schema of a config, with descriptions, ranges and defaults; no other fields."""
    return {**_adapter(config_class).json_schema(), "additionalProperties": False}


def parse(config_class: type[Any], settings: Mapping[str, str]) -> dict[str, Any]:
    """Return values that a person typed as text ("5", "1e-3", "true", "a,b"), each read as its field wants.

    What fits no reading is left for `build` to refuse. Raises ConfigError for a field that does not exist.
    """
    _refuse_unknown(config_class, settings)
    hints = get_type_hints(config_class, include_extras=True)
    return {field: _read(TypeAdapter(hints[field]), text) for field, text in settings.items()}


def _read(adapter: TypeAdapter[Any], text: str) -> Any:
    parts = [part.strip() for part in text.split(",")]
    value = _from_json(text)
    for candidate in (text, value, [_from_json(part) for part in parts], parts):
        try:
            adapter.validate_json(json.dumps(candidate), strict=True)
        except ValidationError:
            continue
        return candidate
    return value


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _dump(values: Mapping[str, Any]) -> str:
    for field, value in values.items():
        try:
            json.dumps(value, allow_nan=False)
        except (ValueError, TypeError):
            raise ConfigError(
                f"{field} = {value!r} is no plain finite value; give a number, text, or list"
            ) from None
    return json.dumps(dict(values))


def _refuse_unknown(config_class: type[Any], values: Mapping[str, Any]) -> None:
    known = [field.name for field in fields(config_class)]
    for name in values:
        if name not in known:
            raise ConfigError(f"there is no setting '{name}'; {nearest(name, known)}")


def nearest(name: str, known: list[str]) -> str:
    """Say which known names come nearest to a mistyped one."""
    near = get_close_matches(name.lower(), known, n=3)
    return f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(sorted(known))}"


def _explain(config_class: type[Any], problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"]) or "the config"
    value = problem["input"]
    field = str(problem["loc"][0]) if problem["loc"] else ""
    # A value that several types were tried on has the type's name in its location: the field is what matters.
    if len(problem["loc"]) > 1 and not isinstance(problem["loc"][1], int):
        where = field
    limits = _limits(schema(config_class).get("properties", {}).get(field, {}))
    kind = problem["type"]
    if kind.startswith(("greater_than", "less_than")) and limits:
        return f"{where} = {value!r} is out of range; it must be {limits}"
    text = problem["msg"].removeprefix("Value error, ").replace("Input should be", "it must be")
    if kind == "value_error":
        return f"{where}: {text}" if field else text
    return f"{where} = {value!r} is not right: {text}"


def _limits(described: Mapping[str, Any]) -> str:
    """Say the range of a field in words: "at least 32 and at most 1024"."""
    options = [described, *described.get("anyOf", ()), described.get("items", {})]
    words = {
        "minimum": "at least",
        "exclusiveMinimum": "more than",
        "maximum": "at most",
        "exclusiveMaximum": "less than",
    }
    said = [f"{word} {option[key]}" for option in options for key, word in words.items() if key in option]
    return " and ".join(said)
