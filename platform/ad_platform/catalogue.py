"""How a client without torch knows the detectors: their settings, presets and stages, as plain JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import Self, cast

from ad_platform.config_text import parse, problem_of
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.naming import match
from ad_platform.rules import Rule, conflict, holds, overlaid
from ad_platform.specs import Json

UNSAID = "no worker that knows attacks has described it; start one of this version"


@dataclass(frozen=True, kw_only=True)
class StageEntry:
    """A stage of a detector as the catalogue describes it."""

    name: str
    version: int
    fields: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class OtherStages:
    """The stages of the configs for which a condition holds, where those have other fields."""

    when: str
    stages: tuple[StageEntry, ...]


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
    family: str = ""  # the idea that it shares with others
    paper: Mapping[str, Json] = field(default_factory=dict)
    supervised: bool = False  # whether it learns from anomalous pictures too
    cost: str = ""  # what fitting and scoring take, in words
    schema: Mapping[str, Json] = field(default_factory=dict)  # JSON Schema of the flat config
    presets: Mapping[str, Mapping[str, Json]] = field(default_factory=dict)  # each a full flat config
    published: Mapping[str, PublishedEntry] = field(default_factory=dict)  # presets by category
    default_preset: str = ""
    space: Mapping[str, Json] = field(default_factory=dict)
    stages: tuple[StageEntry, ...] = ()
    stages_when: tuple[OtherStages, ...] = ()  # the first whose condition holds goes before `stages`
    exclusive: tuple[tuple[str, ...], ...] = ()  # of each group exactly one setting is not null
    rules: tuple[Rule, ...] = ()  # what else several settings must be together
    versions: Mapping[str, Json] = field(default_factory=dict)  # of what a worker fits and measures by
    parallel: tuple[str, ...] = ()  # the stages whose fit is spread over several GPUs
    no_export: str = ""  # why no model of it can be exported; empty where one can, or nobody has said
    no_attack: str = ""  # why no evaluation of it can attack it; empty where one can

    @classmethod
    def from_json(cls, name: str, value: Mapping[str, Json]) -> Self:
        """Build an entry from published JSON; what a newer program adds is ignored."""
        try:
            return cls(
                name=name,
                summary=str(value.get("summary") or ""),
                family=str(value.get("family") or ""),
                paper=_mapping(value.get("paper")),
                supervised=value.get("supervised") is True,
                cost=str(value.get("cost") or ""),
                schema=_mapping(value.get("schema")),
                presets={key: _mapping(preset) for key, preset in _mapping(value.get("presets")).items()},
                published={
                    key: PublishedEntry.from_json(_mapping(preset))
                    for key, preset in _mapping(value.get("published")).items()
                },
                default_preset=str(value.get("default_preset") or ""),
                space=_mapping(value.get("space")),
                stages=_stages(value.get("stages")),
                stages_when=tuple(
                    OtherStages(when=str(_mapping(each)["when"]), stages=_stages(_mapping(each)["stages"]))
                    for each in cast("list[Json]", value.get("stages_when") or [])
                ),
                exclusive=tuple(
                    tuple(map(str, group)) for group in cast("list[list[str]]", value.get("exclusive") or [])
                ),
                versions=_mapping(value.get("versions")),
                rules=tuple(_rule(_mapping(rule)) for rule in cast("list[Json]", value.get("rules") or [])),
                parallel=tuple(map(str, cast("list[str]", value.get("parallel") or []))),
                no_export=str(value.get("no_export") or ""),
                no_attack=str(value.get("no_attack", UNSAID)),
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
            "family": self.family,
            "paper": dict(self.paper),
            "supervised": self.supervised,
            "cost": self.cost,
            "schema": dict(self.schema),
            "presets": {name: dict(preset) for name, preset in self.presets.items()},
            "published": {name: preset.to_json() for name, preset in self.published.items()},
            "default_preset": self.default_preset,
            "space": dict(self.space),
            "stages": _stages_json(self.stages),
            "stages_when": [
                {"when": each.when, "stages": _stages_json(each.stages)} for each in self.stages_when
            ],
            "exclusive": [list(group) for group in self.exclusive],
            "versions": dict(self.versions),
            "rules": [{"holds": rule.holds, "message": rule.message} for rule in self.rules],
            "parallel": list(self.parallel),
            "no_export": self.no_export,
            "no_attack": self.no_attack,
        }

    @property
    def source(self) -> str:
        """Return the first author's family name and the year of the paper; nothing without one."""
        first = str(self.paper.get("authors") or "").split(",")[0].split()
        return f"{first[-1]} {self.paper.get('year') or ''}".strip() if first else ""

    @property
    def preset_names(self) -> list[str]:
        """Return the names of all presets, sorted, those that depend on the category among them."""
        return sorted([*self.presets, *self.published])

    @property
    def fields(self) -> dict[str, Mapping[str, Json]]:
        """Return the JSON Schema of each setting by its name."""
        properties = _mapping(self.schema.get("properties"))
        return {name: _resolved(_mapping(schema), self.schema) for name, schema in properties.items()}

    def stages_of(self, config: Mapping[str, Json]) -> tuple[StageEntry, ...]:
        """Return the stages of a fit with this config; a condition that cannot be read does not hold."""
        return next((each.stages for each in self.stages_when if holds(each.when, config)), self.stages)


@dataclass(frozen=True)
class Catalogue:
    """The known detectors by name."""

    entries: Mapping[str, DetectorEntry]

    def names(self) -> list[str]:
        """Return the sorted names."""
        return sorted(self.entries)

    def entry(self, name: str) -> DetectorEntry:
        """Return the entry of a detector, named in any case; raise UnknownName with the nearest names."""
        if not self.entries:
            raise InvalidRequest(
                f"no detector is known yet, so not '{name}' either; a worker publishes them: adctl up"
            )
        return self.entries[match("detector", name, self.names())]


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
    base: Mapping[str, Json] | None = None,
) -> dict[str, Json]:
    """Return the full flat config: the preset's values, over them those of `base`, over them the settings.

    A published preset needs the category and raises UnknownName for one that was not published; where `base`
    and settings leave nothing to it, the preset is a mere name. Settings come as "name=value" texts, or as a
    mapping; names may be in any case, and texts are read by the type the schema gives. Of two settings that
    exclude each other the one given wins over the preset's. Raises UnknownName for a preset or field that
    does not exist and InvalidValue, with the value and the range, for what cannot be.
    """
    below, given = _values(entry, base or {}), _values(entry, settings)
    whole = set(entry.fields) <= {*below, *given}
    config = {} if whole else _preset(entry, preset, category)
    for layer in (below, given):
        config = overlaid(config, layer, entry.exclusive)
    missing = sorted(set(entry.fields) - set(config))
    if missing:
        raise InvalidValue(f"{entry.name} needs a value for {', '.join(missing)}: -S {missing[0]}=VALUE")
    if problem := conflict(config, entry.rules, entry.exclusive):
        raise InvalidValue(problem)
    return config


def preset_name(entry: DetectorEntry, preset: str) -> str:
    """Return the name of a preset, given in any case; raise UnknownName with the nearest names."""
    return match(f"preset of {entry.name}", preset, entry.preset_names)


def setting(entry: DetectorEntry, name: str, value: Json) -> tuple[str, Json]:
    """Return a setting's name and value as the schema has them; raise UnknownName or InvalidValue."""
    fields = entry.fields
    known = match(f"setting of {entry.name}", name, fields)
    if isinstance(value, str) and problem_of(known, value, fields[known]):
        value = parse(known, value, fields[known])
    # Presets and defaults were checked when the detector was described; the validator is slow to load.
    if problem := problem_of(known, value, fields[known]):
        raise InvalidValue(problem)
    return known, value


def _values(entry: DetectorEntry, settings: Sequence[str] | Mapping[str, Json]) -> dict[str, Json]:
    if isinstance(settings, Mapping):
        return dict(setting(entry, name, value) for name, value in settings.items())
    fields = entry.fields
    found: dict[str, Json] = {}
    for text in settings:
        name, sign, value = text.partition("=")
        if not sign or not name.strip():
            raise InvalidValue(f"a setting is written name=value, not '{text}'")
        known = match(f"setting of {entry.name}", name.strip(), fields)
        found[known] = setting(entry, known, parse(known, value.strip(), fields[known]))[1]
    return found


def _preset(entry: DetectorEntry, preset: str | None, category: str | None) -> dict[str, Json]:
    defaults = {name: schema["default"] for name, schema in entry.fields.items() if "default" in schema}
    if not (preset or entry.default_preset):
        return defaults
    name = preset_name(entry, preset or entry.default_preset)
    if name in entry.published:
        return defaults | entry.published[name].config(name, category)
    return defaults | dict(entry.presets[name])


def _resolved(schema: Mapping[str, Json], root: Mapping[str, Json]) -> Mapping[str, Json]:
    reference = schema.get("$ref")
    if not isinstance(reference, str):
        return {**schema, "$defs": root["$defs"]} if "$defs" in root else schema
    target: Mapping[str, Json] = root
    for part in reference.removeprefix("#/").split("/"):
        target = _mapping(target[part])
    return {**target, **{key: value for key, value in schema.items() if key != "$ref"}}


def _stages(value: Json) -> tuple[StageEntry, ...]:
    return tuple(
        StageEntry(
            name=str(stage["name"]),
            version=int(cast("int", stage["version"])),
            fields=tuple(cast("list[str]", stage["fields"])),
        )
        for stage in map(_mapping, cast("list[Json]", value or []))
    )


def _stages_json(stages: Sequence[StageEntry]) -> list[Json]:
    return [{"name": each.name, "version": each.version, "fields": list(each.fields)} for each in stages]


def _rule(value: Mapping[str, Json]) -> Rule:
    return Rule(holds=str(value["holds"]), message=str(value["message"]))


def _mapping(value: Json) -> Mapping[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise TypeError(f"expected an object, found {type(value).__name__}")
    return value
