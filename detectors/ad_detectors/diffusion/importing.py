"""Published files of denoisers, read as tensors alone: found by a path or in the folder of weights."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ad_detectors.backbones.weights import Places
from ad_detectors.errors import StateError, WeightsNotFound


def find(name: str, places: Places, source: str) -> Path:
    """Return the file of weights that is named, by its path or in `places.folder`.

    Raises WeightsNotFound that says where it was looked for and whence it can be had, `source`.
    """
    direct = Path(name).expanduser()
    if direct.is_file():
        return direct
    if places.folder is not None and (places.folder / name).is_file():
        return places.folder / name
    raise WeightsNotFound(
        f"no weights '{name}' on this machine: give weights the path of the file, or put it into the folder "
        f"ADCTL_WEIGHTS; it can be had from {source}"
    )


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a published state dict, never unpickled; raise StateError naming the file."""
    mapped = zipfile.is_zipfile(path)  # where that is possible large files are not in memory twice
    try:
        found: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except Exception as error:  # torch has many errors of its own for a broken or foreign file
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise StateError(f"{path} cannot be read as tensors: {reason}") from error
    if not isinstance(found, Mapping) or not all(isinstance(value, Tensor) for value in found.values()):
        raise StateError(f"{path} holds no state dict of tensors; name a checkpoint of the published code")
    return {str(name): tensor for name, tensor in found.items()}
