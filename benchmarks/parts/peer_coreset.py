"""Finds anomalib's KCenterGreedy, loading no more of anomalib: the rest needs a hundred packages."""

import importlib
import sys
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor


class PeerMissing(Exception):
    """Anomalib is not on the path."""


@cache
def k_center_greedy() -> Callable[..., Any]:
    """Return anomalib's class; raise PeerMissing if it cannot be imported."""
    found = find_spec("anomalib")
    if found is None or not found.submodule_search_locations:
        raise PeerMissing(
            "anomalib is not installed: `pip install --no-deps anomalib` and scikit-learn, tqdm"
        )
    root = Path(next(iter(found.submodule_search_locations)))
    components = "models/components"
    for folder in ("", "models", components, f"{components}/dimensionality_reduction"):
        _bare_package(".".join(["anomalib", *folder.split("/")]).rstrip("."), root / folder)
    reduction = sys.modules["anomalib.models.components.dimensionality_reduction"]
    try:
        projection = importlib.import_module(f"{reduction.__name__}.random_projection")
        reduction.SparseRandomProjection = projection.SparseRandomProjection  # type: ignore[attr-defined]
        module = importlib.import_module("anomalib.models.components.sampling.k_center_greedy")
    except ImportError as error:
        raise PeerMissing(f"anomalib's coreset cannot be imported: {error}") from error
    kind: Callable[..., Any] = module.KCenterGreedy
    return kind


def picks(rows: Tensor, size: int, seed: int) -> list[int]:
    """Return the picks of anomalib, the start drawn from torch's generator under this seed.

    Its random projection is for matrices alone: rows with a third dimension of one are taken as they are.
    """
    sampler = k_center_greedy()(rows[:, :, None], sampling_ratio=(size + 0.5) / len(rows))
    torch.manual_seed(seed)
    chosen: list[int] = sampler.select_coreset_idxs()
    return chosen


def _bare_package(name: str, folder: Path) -> None:
    """Register a package whose modules can be imported, without running its own code."""
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
