"""Finds anomalib's Perlin generator, loading no more of anomalib: the rest needs a hundred packages."""

import importlib
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from parts.peer_coreset import PeerMissing
from torch import Tensor

PACKAGES = ("data", "data/utils", "data/utils/generators")


@cache
def module() -> Any:
    """Return anomalib's module of Perlin noise; raise PeerMissing if it cannot be imported."""
    found = find_spec("anomalib")
    if found is None or not found.submodule_search_locations:
        raise PeerMissing("anomalib is not installed: `pip install --no-deps anomalib` and torchvision")
    root = Path(next(iter(found.submodule_search_locations)))
    for folder in ("", *PACKAGES):
        # A package whose modules can be imported, without running its own code.
        name = ".".join(["anomalib", *folder.split("/")]).rstrip(".")
        package = ModuleType(name)
        package.__path__ = [str(root / folder)]
        sys.modules.setdefault(name, package)
    try:
        return importlib.import_module("anomalib.data.utils.generators.perlin")
    except ImportError as error:
        raise PeerMissing(f"anomalib's Perlin generator cannot be imported: {error}") from error


def spoiler() -> Callable[[Tensor], tuple[Tensor, Tensor]]:
    """Return its transform of uint8 images (B, 3, H, W), with a defect in each, and textures of its own."""
    generator = module().PerlinAnomalyGenerator(probability=1.0)

    def spoiled(images: Tensor) -> tuple[Tensor, Tensor]:
        after, masks = generator(images.float() / 255)
        return (after * 255).round().clamp(0, 255).to(torch.uint8), masks > 0

    return spoiled
