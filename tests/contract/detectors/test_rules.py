"""A submit refuses exactly the settings that the detector's own Config refuses, in the same words."""

import json
import random
from collections.abc import Mapping
from typing import Any

import pytest

from ad_detectors import catalogue as published
from ad_detectors import registry
from ad_detectors.config import build
from ad_detectors.errors import ConfigError
from ad_platform import catalogue
from ad_platform.errors import InvalidRequest

DRAWS = 400
DETECTORS = registry.built_in()


def drawn(schema: Mapping[str, Any], dice: random.Random) -> Any:
    """Return some value that a setting's schema allows, the ends of its range among the likely ones."""
    if "anyOf" in schema:
        return drawn(dice.choice(schema["anyOf"]), dice)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    if "const" in schema:
        return schema["const"]
    kind = schema["type"]
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "null":
        return None
    if kind == "array":
        size = dice.randint(schema.get("minItems", 0), min(schema.get("maxItems", 3), 3))
        return [drawn(schema["items"], dice) for _ in range(size)]
    if kind == "integer":
        step, low = schema.get("multipleOf", 1), schema["minimum"]
        high = dice.choice([schema["maximum"], min(schema["maximum"], low + 40 * step)])
        return low + step * dice.randint(0, (high - low) // step)
    assert kind == "number"
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0.0) + 1e-3)
    return dice.uniform(low, schema.get("maximum", schema.get("exclusiveMaximum", 0.0) - 1e-3))


@pytest.mark.parametrize("name", DETECTORS)
def test_a_submit_refuses_what_the_config_refuses_in_the_same_words(name: str) -> None:
    config_class = registry.describe(name).config
    entry = catalogue.DetectorEntry.from_json(name, published.entry(name))
    # What may be any text only a pattern or a library knows.
    drawable = {
        field: each
        for field, each in entry.fields.items()
        if "enum" in each or '"type": "string"' not in json.dumps({**each, "$defs": None})
    }
    dice = random.Random(f"settings of {name}")
    refused = 0
    for _ in range(DRAWS):
        chosen = dice.sample(sorted(drawable), k=min(3, len(drawable)))
        base = {**entry.presets[dice.choice(sorted(entry.presets))]}
        values = {**base, **{field: drawn(drawable[field], dice) for field in chosen}}
        told = ""
        try:
            build(config_class, values)
        except ConfigError as error:
            told, refused = str(error), refused + 1
        if told:
            with pytest.raises(InvalidRequest) as caught:
                catalogue.resolve(entry, None, values)
            assert str(caught.value) == told, chosen
        else:
            assert catalogue.resolve(entry, None, values) == values
    assert refused > 10, "too few of the drawn settings clash for this to prove anything"


@pytest.mark.parametrize("name", DETECTORS)
def test_rules_name_settings_and_groups_can_be_null(name: str) -> None:
    known = registry.describe(name)
    fields = catalogue.DetectorEntry.from_json(name, published.entry(name)).fields

    for group in known.exclusive:
        assert all({"type": "null"} in fields[field]["anyOf"] for field in group)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_client_reads_the_stages_of_a_config_as_the_library_does(name: str) -> None:
    known = registry.describe(name)
    entry = catalogue.DetectorEntry.from_json(name, published.entry(name))
    dice = random.Random(f"stages of {name}")
    fields = sorted(field for field, each in entry.fields.items() if each.get("type") == "boolean")
    seen = set()
    for preset in entry.presets.values():
        for _ in range(DRAWS // 10):
            values = {**preset, **{field: drawn(entry.fields[field], dice) for field in fields}}
            stages = known.stages_of(build(known.config, values))
            there = entry.stages_of(values)
            assert [(each.name, each.version, each.fields) for each in there] == [
                (each.name, each.version, each.fields) for each in stages
            ]
            seen.add(stages)
    assert len(seen) == 1 + len(known.stages_when), "not every condition was met"


def test_epochs_win_over_the_steps_of_a_preset_here_and_there() -> None:
    entry = catalogue.DetectorEntry.from_json("ddad", published.entry("ddad"))

    there = catalogue.resolve(entry, "tiny", ["epochs=50"])
    here = registry.resolve("ddad", "tiny", {"epochs": 50})

    assert (there["steps"], there["epochs"]) == (None, 50)
    assert there == here
