"""The files that travel with a model's weights, written beside them."""

import json
from pathlib import Path

from ad_platform.registry import card
from ad_platform.registry.release import CARD, OPERATING, RELEASE, Release
from ad_platform.specs import Json


def complete(release: Release, folder: Path) -> None:
    """Write thresholds, facts and the card into the folder of a fitted model."""
    point = release.operating_point
    if point is not None:
        _write(folder / OPERATING, dict(point))
    _write(folder / RELEASE, release.facts())
    (folder / CARD).write_text(card.text(release), encoding="utf-8")


def _write(path: Path, value: Json) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
