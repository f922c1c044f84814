"""States and fitted detectors as files: safetensors and JSON, so that nothing is ever unpickled."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from ad_detectors import registry
from ad_detectors.api import Detector
from ad_detectors.config import build, to_json
from ad_detectors.errors import StateError

if TYPE_CHECKING:
    from ad_detectors.api import State

TENSORS, VALUES, CONFIG = "state.safetensors", "state.json", "config.json"


def save(state: State, folder: Path, *, sync: bool = True) -> None:
    """Write a state as two files, each synced and then renamed into place.

    Without `sync` they may be lost in a power cut: for files that are copied elsewhere at once.

    Raises StateError that names the key of anything that is no tensor, number, string or bool, before a file
    is touched. The two files together are not atomic: give each state a folder of its own.
    """
    tensors = {key: _storable(key, value) for key, value in state.items() if isinstance(value, Tensor)}
    values = {key: _plain(key, value) for key, value in state.items() if not isinstance(value, Tensor)}
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f"{TENSORS}.tmp"
    save_file(_unshared(tensors), temporary)
    _settle(temporary, folder / TENSORS, sync)
    _write_json(folder / VALUES, values, sync)


def load(folder: Path, device: torch.device | str = "cpu") -> State:
    """Read a state back, exactly; raise StateError that names the file if it is missing or broken."""
    try:
        tensors = load_file(folder / TENSORS, device=str(device))
    except (OSError, SafetensorError) as error:
        raise StateError(f"cannot read {folder / TENSORS}: {error}") from error
    return {**_read_json(folder / VALUES), **tensors}


def save_model(folder: Path, name: str, config: Any, state: State, selected_on: str = "none") -> None:
    """Write a fitted detector: its state, and a config.json that says which detector and config it is of.

    It also says which images its settings were chosen by: "none", "validation" or "test".
    """
    known = registry.describe(name)
    flat = to_json(build(known.config, config if isinstance(config, Mapping) else to_json(config)))
    save(state, folder)
    about = {"detector": known.name, "config": flat, "version": library_version()}
    _write_json(folder / CONFIG, {**about, "selected_on": selected_on})


def load_model(folder: Path, device: torch.device | str = "cpu") -> Detector:
    """Read a fitted detector, ready to score on a device."""
    detector = registry.create(*about_model(folder))
    detector.restore(load(folder))
    detector.to(torch.device(device))
    return detector


def about_model(folder: Path) -> tuple[str, dict[str, Any]]:
    """Return the detector of a model's folder and its whole config, without running any of its code."""
    about = _read_json(folder / CONFIG)
    if not isinstance(about.get("detector"), str) or not isinstance(about.get("config"), dict):
        raise StateError(
            f"{folder / CONFIG} does not name a detector and its config; is this a model's folder?"
        )
    return about["detector"], about["config"]


def selected_on(folder: Path) -> str:
    """Return which images the settings of a model's folder were chosen by; "unknown" of an older one."""
    return str(_read_json(folder / CONFIG).get("selected_on", "unknown"))


def library_version() -> str:
    """Return the version of adctl that these detectors came with."""
    try:
        return version("adctl")
    except PackageNotFoundError:  # carried inside a served model, or run from a bare checkout
        return "unknown"


def _storable(key: str, value: Tensor) -> Tensor:
    if key == "__metadata__":
        raise StateError("a state's key must not be '__metadata__': safetensors keeps that name for itself")
    if value.layout is not torch.strided or value.is_quantized:
        raise StateError(f"state['{key}'] is a sparse or quantised tensor; make it dense")
    return value.detach().resolve_conj().resolve_neg().cpu().contiguous()


def _unshared(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return tensors none of which shares memory with another, copying only where needed."""
    seen: set[int] = set()
    result: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        storage = tensor.untyped_storage()
        # A view of part of a larger storage would be refused as well.
        alone = storage.data_ptr() not in seen and storage.nbytes() == tensor.nbytes
        seen.add(storage.data_ptr())
        result[key] = tensor if alone else tensor.clone()
    return result


def _plain(key: str, value: object) -> int | float | str | bool:
    if type(value) is float and not math.isfinite(value):
        raise StateError(f"state['{key}'] is {value}, which is not finite; keep such a number in a tensor")
    if type(value) in (bool, int, float, str):
        return value  # type: ignore[return-value]
    raise StateError(
        f"state['{key}'] is a {type(value).__name__}; a state holds tensors, numbers and strings"
    )


def _write_json(path: Path, value: Mapping[str, Any], sync: bool = True) -> None:
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")
    _settle(temporary, path, sync)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise StateError(f"cannot read {path}: {error}") from error
    if not isinstance(value, dict):
        raise StateError(f"{path} holds no JSON object; is this a model's folder?")
    return value


def _settle(temporary: Path, final: Path, sync: bool) -> None:
    """Give what was written its final name and, if wanted, make it outlast a power cut."""
    if not sync:
        temporary.replace(final)
        return
    with temporary.open("rb+") as file:
        os.fsync(file.fileno())
    temporary.replace(final)
    folder = os.open(final.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
