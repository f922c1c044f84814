"""How a client without torch knows the detectors: their settings, presets and stages, as plain JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Self, cast

from ad_platform.config_text import parse, problem_of
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.specs import Json


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """A stage of a detector as the catalogue describes it."""

    name: str
    version: int
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class PublishedEntry:
    """A preset as somebody published it: its settings depend on the category."""

    source: str
    base: Mapping[str, Json]  # a full flat config
    categories: Mapping[str, Mapping[str, Json]]  # what each sets differently, by its published name

    def config(self, preset: str, category: str | None) -> dict[str, Json]:
        """Return the full flat config for a category, named in any case; raise InvalidRequest."""
        if category is None:
            raise InvalidRequest(f"the settings of preset '{preset}' depend on the category; name one")
        for name, values in self.categories.items():
            if name.casefold() == category.casefold():
                return {**self.base, **values}
        raise UnknownName(f"category in preset '{preset}'", category, self.categories)

    @classmethod
    def from_json(cls, value: Mapping[str, Json]) -> Self:
        """Build it from published JSON."""
        categories = _mapping(value.get("categories"))
        return cls(
            source=str(value.get("source") or ""),
            base=_mapping(value.get("base")),
            categories={name: _mapping(values) for name, values in categories.items()},
        )

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON values."""
        categories: dict[str, Json] = {name: dict(values) for name, values in self.categories.items()}
        return {"source": self.source, "base": dict(self.base), "categories": categories}


@dataclass(frozen=True, kw_only=True)
class DetectorEntry:
    """What the catalogue says about one detector."""

    name: str
    summary: str = ""
    paper: Mapping[str, Json] = field(default_factory=dict)
    schema: Mapping[str, Json] = field(default_factory=dict)  # JSON Schema of the flat config
    presets: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # each a full flat config
    published: Mapping[str, PublishedEntry] = field(default_factory=dict)  # presets by category
    default_preset: str = ""
    space: Mapping[str, Json] = field(default_factory=dict)
    stages: tuple[StageEntry, ...] = ()

    @classmethod
    def from_json(cls, name: str, value: Mapping[str, Json]) -> Self:
        """Build an entry from published JSON; what a newer program adds is ignored."""
        try:
            return cls(
                name=name,
                summary=str(value.get("summary") or ""),
                paper=_mapping(value.get("paper")),
                schema=_mapping(value.get("schema")),
                presets={key: _mapping(preset) for key, preset in _mapping(value.get("presets")).items()},
                published={
                    key: PublishedEntry.from_json(_mapping(preset))
                    for key, preset in _mapping(value.get("published")).items()
                },
                default_preset=str(value.get("default_preset") or ""),
                space=_mapping(value.get("space")),
                stages=tuple(
                    _stage(_mapping(stage)) for stage in cast("list[Json]", value.get("stages") or [])
                ),
            )
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise InvalidValue(
                f"the catalogue's entry of '{name}' cannot be read ({error}); restart its workers"
            ) from error

    def to_json(self) -> dict[str, Json]:
        """Return the entry as plain JSON values."""
        return {
            "name": self.name,
            "summary": self.summary,
            "paper": dict(self.paper),
            "schema": dict(self.schema),
            "presets": {name: dict(preset) for name, preset in self.presets.items()},
            "published": {name: preset.to_json() for name, preset in self.published.items()},
            "default_preset": self.default_preset,
            "space": dict(self.space),
            "stages": [
                {"name": stage.name, "version": stage.version, "fields": list(stage.fields)}
                for stage in self.stages
            ],
        }

    @property
    def preset_names(self) -> list[str]:
        """Return the names of all presets, sorted, those that depend on the category among them."""
        return sorted([*self.presets, *self.published])

    @property
    def fields(self) -> dict[str, Mapping[str, Json]]:
        """Return the JSON Schema of each setting by its name."""
        properties = _mapping(self.schema.get("properties"))
        return {name: _resolved(_mapping(schema), self.schema) for name, schema in properties.items()}


@dataclass(frozen=True)
class Catalogue:
    """The known detectors by name."""

    entries: Mapping[str, DetectorEntry]

    def names(self) -> list[str]:
        """Return the sorted names."""
        return sorted(self.entries)

    def entry(self, name: str) -> DetectorEntry:
        """Return the entry of a detector, named in any case; raise UnknownName with the nearest names."""
        found = self.entries.get(name.lower()) or self.entries.get(name)
        if found is None:
            if not self.entries:
                raise InvalidRequest(
                    f"no detector is known yet, so not '{name}' either; a worker publishes them: adctl up"
                )
            raise UnknownName("detector", name, self.names())
        return found


def load(published: Mapping[str, Json] | None = None) -> Catalogue:
    """Merge the built-in catalogue with what workers have published; the published entry wins."""
    merged = {**built_in(), **(published or {})}
    return Catalogue({name: DetectorEntry.from_json(name, _mapping(value)) for name, value in merged.items()})


def built_in() -> dict[str, Json]:
    """Return the catalogue that ships with the program; empty in a checkout that was never built."""
    file = resources.files("ad_platform").joinpath("catalogue.json")
    if not file.is_file():
        return {}
    return cast("dict[str, Json]", json.loads(file.read_text(encoding="utf-8")))


def resolve(
    entry: DetectorEntry,
    preset: str | None = None,
    settings: Sequence[str] | Mapping[str, Json] = (),
    category: str | None = None,
) -> dict[str, Json]:
    """Return the full flat config: the preset's values, with the given settings in their place.

    A published preset needs the category and raises UnknownName for one that was not published.
    Settings come as "name=value" texts, or as a mapping; texts are read by the type the schema gives. Raises
    UnknownName for a preset or field that does not exist and InvalidValue, with the value and the range, for
    a value that cannot be.
    """
    config = _preset(entry, preset, category)
    fields = entry.fields
    for name, value in _pairs(settings):
        if name not in fields:
            raise UnknownName(f"setting of {entry.name}", name, fields)
        config[name] = parse(name, value, fields[name]) if isinstance(value, str) else value
        # Presets and defaults were checked when the detector was described; the validator is slow to load.
        if problem := problem_of(name, config[name], fields[name]):
            raise InvalidValue(problem)
    missing = sorted(set(fields) - set(config))
    if missing:
        raise InvalidValue(f"{entry.name} needs a value for {', '.join(missing)}: -S {missing[0]}=VALUE")
    return config


def _preset(entry: DetectorEntry, preset: str | None, category: str | None) -> dict[str, Json]:
    defaults = {name: schema["default"] for name, schema in entry.fields.items() if "default" in schema}
    name = preset or entry.default_preset
    if not name:
        return defaults
    if name in entry.published:
        return defaults | entry.published[name].config(name, category)
    if name not in entry.presets:
        raise UnknownName(f"preset of {entry.name}", name, entry.preset_names)
    return defaults | dict(entry.presets[name])


def _pairs(settings: Sequence[str] | Mapping[str, Json]) -> list[tuple[str, Json]]:
    if isinstance(settings, Mapping):
        return list(settings.items())
    pairs: list[tuple[str, Json]] = []
    for text in settings:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidValue(f"a setting is written name=value, not '{text}'")
        pairs.append((name.strip(), value.strip()))
    return pairs


def _resolved(schema: Mapping[str, Json], root: Mapping[str, Json]) -> Mapping[str, Json]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return {**schema, "$defs": root["$defs"]} if "$defs" in root else schema
    target: Mapping[str, Json] = root
    for part in reference.removeprefix("#/").split("/"):
        target = _mapping(target[part])
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _stage(value: Mapping[str, Json]) -> StageEntry:
    fields = cast("list[str]", value["fields"])
    return StageEntry(
        name=str(value["name"]), version=int(cast("int", value["version"])), fields=tuple(fields)
    )


def _mapping(value: Json) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value
