"""The names that there are, each with a few words: jobs, detectors, settings, categories, models, workers.

Each takes the words typed so far and the one being typed; what it raises is hidden from the shell.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from ad_platform.settings import Settings
    from ad_platform.specs import Json
    from ad_platform.store.glance import Glance, Named

Offer = list[tuple[str, str]]  # what would be typed, and a few words on it

MODEL = ("--model", "-m")
SOURCE = ("--from",)
CATEGORY = ("--category", "-c")


def jobs(args: Sequence[str], incomplete: str) -> Offer:
    """Return job ids, newest first, and @last."""
    found = _pairs(_names().jobs(incomplete if _hexadecimal(incomplete) else ""))
    newest = (
        [("@last", f"the newest: {found[0][1]}")] if found and not _hexadecimal(incomplete or "@") else []
    )
    return [one for one in [*newest, *found] if one[0].startswith(incomplete) and one[0] not in args]


def sweeps(args: Sequence[str], incomplete: str) -> Offer:
    """Return the names of sweeps, newest first, and @last."""
    found = _pairs(_names().sweeps())
    newest = [("@last", f"the newest: {found[0][0]}")] if found else []
    return [one for one in [*newest, *found] if one[0].startswith(incomplete) and one[0] not in args]


def benchmarks(args: Sequence[str], incomplete: str) -> Offer:
    """Return the names of benchmarks, newest first, and @last."""
    found = _pairs(_names().benchmarks())
    newest = [("@last", f"the newest: {found[0][0]}")] if found else []
    return [one for one in [*newest, *found] if one[0].startswith(incomplete) and one[0] not in args]


def jobs_and_names(args: Sequence[str], incomplete: str) -> Offer:
    """Return job ids, then the names of sweeps and benchmarks; @last is the newest job."""
    named = [*sweeps(args, incomplete), *benchmarks(args, incomplete)]
    return [*jobs(args, incomplete), *(one for one in named if one[0] != "@last")]


def detectors(args: Sequence[str], incomplete: str) -> Offer:
    """Return the known detectors."""
    found = [(name, str(entry.get("summary") or "")) for name, entry in sorted(_catalogue().items())]
    return [one for one in found if one[0].startswith(incomplete.lower())]


def presets(args: Sequence[str], incomplete: str) -> Offer:
    """Return the presets of the detector that was named, or of all."""
    found: dict[str, str] = {}
    for name, entry in _asked(args).items():
        for kind in ("presets", "published"):
            found |= dict.fromkeys(_mapping(entry.get(kind)), f"of {name}")
    return [one for one in sorted(found.items()) if one[0].startswith(incomplete)]


def fields(args: Sequence[str], incomplete: str) -> Offer:
    """Return the settings of the detector that was named, as "name="; after the sign, values worth trying."""
    from ad_platform.store.glance import fields_of

    name, sign, _ = incomplete.partition("=")
    offered: dict[str, str] = {}
    for detector, entry in _asked(args).items():
        known = fields_of(entry)
        if sign:
            offered |= {f"{name}={value}": why for value, why in _values(entry, name, known)}
        else:
            offered |= {
                f"{field}=": str(schema.get("description") or f"of {detector}")
                for field, schema in known.items()
            }
    return [one for one in offered.items() if one[0].startswith(incomplete)]


def parameters(args: Sequence[str], incomplete: str) -> Offer:
    """Return the settings of the detector that was named, as "name="; after the sign, what to try of it."""
    from ad_platform.store.glance import fields_of

    name, sign, _ = incomplete.partition("=")
    if not sign:
        return fields(args, incomplete)
    found: dict[str, str] = {}
    for entry in _asked(args).values():
        if declared := _declared(_mapping(entry.get("space")).get(name)):
            found[f"{name}={declared}"] = "as the detector declares"
        schema = fields_of(entry).get(name)
        choices = _choices(schema, entry) if schema is not None else []
        if len(choices) > 1:
            found[f"{name}={','.join(choices)}"] = "all there are"
    return [one for one in found.items() if one[0].startswith(incomplete)]


def objectives(args: Sequence[str], incomplete: str) -> Offer:
    """Return what trials can be compared by."""
    from ad_platform.sweeps.objectives import METRICS

    words = {"max": "the highest wins", "min": "the lowest wins"}
    return [(name, words[way]) for name, way in METRICS.items() if name.startswith(incomplete.lower())]


def orders_of_trials(args: Sequence[str], incomplete: str) -> Offer:
    """Return what trials can be sorted by, beside their settings."""
    from ad_platform.sweeps.objectives import METRICS

    names = ["number", "value", "state", "time", *METRICS]
    return [(name, "") for name in names if name.startswith(incomplete)]


def datasets(args: Sequence[str], incomplete: str) -> Offer:
    """Return the datasets below ADCTL_DATA, and those that workers hold."""
    found = sorted({dataset for dataset, _ in _places()})
    return [(name, "") for name in found if name.startswith(incomplete)]


def categories(args: Sequence[str], incomplete: str) -> Offer:
    """Return the categories of the dataset that was named, or of all."""
    wanted = _given(args, ("--dataset", "-d"))
    found = {category: dataset for dataset, category in _places() if wanted in ("", dataset)}
    return [one for one in sorted(found.items()) if one[0].startswith(incomplete)]


def models(args: Sequence[str], incomplete: str) -> Offer:
    """Return the models that carry an alias."""
    return [one for one in _pairs(_names().models()) if one[0].startswith(incomplete)]


def workers(args: Sequence[str], incomplete: str) -> Offer:
    """Return the workers that are not gone."""
    return [one for one in _pairs(_names().workers()) if one[0].startswith(incomplete)]


def queues(args: Sequence[str], incomplete: str) -> Offer:
    """Return the labels of the queues."""
    return [(name, "") for name in _names().queues() if name.startswith(incomplete)]


def users(args: Sequence[str], incomplete: str) -> Offer:
    """Return who has submitted jobs."""
    return [(name, "") for name in _names().users() if name.startswith(incomplete)]


def _settings() -> Settings:
    from ad_cli import session

    return session.settings()


def _names() -> Glance:
    """Return where names are read: the store's file, or a copy of the names of a store that is elsewhere."""
    from ad_platform.store.glance import glance

    settings = _settings()
    if (found := glance(settings.database_url)) is not None:
        return found
    from ad_cli.completion.elsewhere import Elsewhere

    return Elsewhere(settings)


def _catalogue() -> dict[str, Mapping[str, Json]]:
    from ad_platform.catalogue import built_in

    merged = {**built_in(), **_names().catalogue()}
    return {name: entry for name, entry in merged.items() if isinstance(entry, dict)}


def _asked(args: Sequence[str]) -> dict[str, Mapping[str, Json]]:
    """Return the entries of the detector that a call names, itself or by a job; of every one otherwise."""
    known = _catalogue()
    name = _given(args, MODEL).lower()
    if not name and (source := _given(args, SOURCE)):
        name = _names().detector_of("" if source == "@last" else source)
    return {name: known[name]} if name in known else known


def _given(args: Sequence[str], names: Iterable[str]) -> str:
    """Return the value that a call gives an option, "" for none."""
    for place, word in enumerate(args):
        for name in names:
            if word == name and place + 1 < len(args):
                return args[place + 1]
            if name.startswith("--") and word.startswith(f"{name}="):
                return word.partition("=")[2]
    return ""


def _values(entry: Mapping[str, Json], name: str, known: Mapping[str, Mapping[str, Json]]) -> Offer:
    """Return values of a setting: its choices, or what the presets and the default say."""
    schema = known.get(name)
    if schema is None:
        return []
    found: dict[str, list[str]] = {}
    for preset, values in _mapping(entry.get("presets")).items():
        if isinstance(values, dict) and name in values:
            found.setdefault(_typed(values[name]), []).append(preset)
    if "default" in schema:
        found.setdefault(_typed(schema["default"]), []).append("default")
    choices = _choices(schema, entry)
    return [(choice, ", ".join(found.get(choice, []))) for choice in choices] or [
        (value, ", ".join(why)) for value, why in found.items()
    ]


def _choices(schema: Mapping[str, Json], entry: Mapping[str, Json]) -> list[str]:
    if schema.get("type") == "boolean":
        return ["true", "false"]
    named = str(schema.get("$ref") or "").rpartition("/")[2]
    definitions = _mapping(_mapping(entry.get("schema")).get("$defs"))
    choices = schema.get("enum") or _mapping(definitions.get(named)).get("enum")
    return [_typed(choice) for choice in choices] if isinstance(choices, list) else []


def _typed(value: Json) -> str:
    """Return a value as one would type it after -S name=."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(_typed(one) for one in value) if isinstance(value, list) else str(value)


def _declared(values: Json) -> str:
    """Return a range or the choices that a detector declares as one would type them after --param name=."""
    if isinstance(values, list):
        return ",".join(map(_typed, values))
    range_ = _mapping(values)
    if choices := range_.get("choices"):
        return _declared(choices)
    if not {"low", "high"} <= range_.keys():
        return ""
    more = ":log" if range_.get("log") is True else f":{range_['step']}" if range_.get("step") else ""
    return f"{_typed(range_['low'])}:{_typed(range_['high'])}{more}"


def _places() -> list[tuple[str, str]]:
    """Return datasets and categories, here and where workers have reported them."""
    root = _settings().data_root
    here = []
    if root.is_dir():
        for dataset in root.iterdir():
            if dataset.is_dir() and not dataset.name.startswith("."):
                here += [(dataset.name, one.name) for one in dataset.iterdir() if (one / "train").is_dir()]
    return sorted({*here, *_names().categories()})


def _pairs(found: Sequence[Named]) -> Offer:
    return [(one.name, one.words) for one in found]


def _hexadecimal(text: str) -> bool:
    return all(char in "0123456789abcdefABCDEF" for char in text)


def _mapping(value: Json) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", value) if isinstance(value, dict) else {}
