"""Writes the catalogue of detectors that ships in the wheel; hatchling runs it for every build."""

import json
import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CatalogueHook(BuildHookInterface):  # type: ignore[type-arg]
    """Generates platform/ad_platform/catalogue.json, so that a new detector needs no second file."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        del version, build_data  # wheels, editable installs and source archives all need it
        root = Path(self.root)
        target = root / "platform" / "ad_platform" / "catalogue.json"
        target.write_text(json.dumps(_catalogue(root / "detectors"), indent=1, sort_keys=True) + "\n")


def _catalogue(source_root: Path) -> dict[str, Any]:
    sys.path.insert(0, str(source_root))
    try:
        from ad_detectors import catalogue, registry

        return dict(catalogue.build(registry.built_in()))
    finally:
        sys.path.remove(str(source_root))
