"""What a program without torch needs to know of every detector, as plain JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from ad_detectors import registry
from ad_detectors.api import Stage
from ad_detectors.config import Published, schema, to_json
from ad_detectors.config import build as build_config
from ad_detectors.errors import BrokenDetector


def build(names: Iterable[str] | None = None) -> dict[str, dict[str, Any]]:
    """Return the entry of each detector by name; imports no torch.

    Without names all detectors that work are described, and broken ones are left to `registry.broken()`. A
    detector named here that is broken raises BrokenDetector.
    """
    if names is not None:
        return {name: entry(name) for name in names}
    entries: dict[str, dict[str, Any]] = {}
    for name in registry.names():
        try:
            entries[name] = entry(name)
        except BrokenDetector:
            continue
    return entries


def entry(name: str) -> dict[str, Any]:
    """Return what the catalogue says of one detector."""
    known = registry.describe(name)
    return {
        "name": known.name,
        "summary": known.summary,
        "family": known.family,
        "paper": asdict(known.paper) if known.paper else None,
        "supervised": known.supervised,
        "cost": known.cost,
        "schema": schema(known.config),
        "presets": {
            preset: to_json(build_config(known.config, values)) for preset, values in known.presets.items()
        },
        "published": {preset: _published(known, found) for preset, found in known.published.items()},
        "default_preset": known.default_preset,
        "space": {field: dict(limits) for field, limits in known.space.items()},
        "stages": _stages(known.stages),
        "stages_when": [{"when": when, "stages": _stages(stages)} for when, stages in known.stages_when],
        "exclusive": [list(group) for group in known.exclusive],
        "parallel": list(known.parallel),
        "no_export": known.no_export,
        "no_attack": known.no_attack,
        "rules": [{"holds": rule.holds, "message": rule.message} for rule in known.rules],
    }


def _stages(stages: Iterable[Stage]) -> list[dict[str, Any]]:
    return [{"name": stage.name, "version": stage.version, "fields": list(stage.fields)} for stage in stages]


def _published(known: registry.Description, found: Published) -> dict[str, Any]:
    """Return a published preset: a whole config, and what each category sets differently."""

    def whole(values: Mapping[str, Any]) -> dict[str, Any]:
        return to_json(build_config(known.config, values))

    categories = {}
    for category, values in found.categories.items():
        config = whole({**found.base, **values})
        categories[category] = {field: config[field] for field in values}
    return {"source": found.source, "base": whole(found.base), "categories": categories}
