"""Parts of a fit as things that can be stored, found again and shared: their keys and their states."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ad_detectors import registry
from ad_detectors.config import build, to_json
from ad_detectors.data import decoding

if TYPE_CHECKING:
    from ad_detectors.api import State


def keys(
    name: str, config: Mapping[str, Any], *, fingerprint: str, split: str, precision: str, seed: int
) -> dict[str, str]:
    """Return the content address of each stage, in order.

    A key is the SHA-256 of the canonical JSON of everything the stage's result depends on: detector, data and
    how it is decoded, split, precision, seed, and of this stage and all before it the name, the version and
    every field. A detector that declares no stages has no version to raise: its own source text stands for
    one, so that whoever edits it never gets back the result of what it was before.
    """
    known = registry.describe(name)
    built = build(known.config, config)
    values = to_json(built)  # so that 1 and 1.0 for one field are one value
    given = {"fingerprint": fingerprint, "split": split, "precision": precision, "seed": seed}
    given["decoding"] = decoding.VERSION  # the same files would give other pixels
    if (source := source_of(name)) is not None:
        given["source"] = source
    result: dict[str, str] = {}
    behind: list[list[Any]] = []
    for stage in known.stages_of(built):
        behind.append([stage.name, stage.version, {field: values[field] for field in stage.fields}])
        meaning = {"detector": known.name, **given, "stages": behind}
        text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), allow_nan=False)
        result[stage.name] = hashlib.sha256(text.encode()).hexdigest()
    return result


def source_of(name: str) -> str | None:
    """Return the SHA-256 of the source text of a detector that declares no stages; None of one that does."""
    known = registry.describe(name)
    if [stage.name for stage in known.stages] != [registry.WHOLE_FIT]:
        return None
    return _source(known.module)


def _source(module: str) -> str:
    """Return the SHA-256 of a detector's source text, without importing it."""
    found = find_spec(module)
    if found is None or found.origin is None or not Path(found.origin).is_file():
        return ""
    return hashlib.sha256(Path(found.origin).read_bytes()).hexdigest()


def part(state: State, stage: str) -> State:
    """Return what one stage contributed to a state: the keys that start with "<stage>/"."""
    return {key: value for key, value in state.items() if key.startswith(f"{stage}/")}
