"""Taking over checkpoints of the published DDAD code; they are read as tensors alone, never unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor

from ad_detectors import determinism
from ad_detectors.backbones import features
from ad_detectors.diffusion import importing
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.nets.unet import empty_unet
from ad_detectors.zoo.ddad import adaptation
from ad_detectors.zoo.ddad.config import NO_BACKBONE, Config
from ad_detectors.zoo.ddad.denoiser import shape_of
from ad_detectors.zoo.ddad.scale import PixelScale

if TYPE_CHECKING:
    from ad_detectors.api import State

WRAPPED = "module."  # every name of a file saved from torch's DataParallel begins so
CHANNELS_PER_HEAD = 16  # of the published widths: 64 with 4 heads, 32 with 2


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a published file under their bare names; raise StateError naming the file."""
    if not path.is_file():
        raise StateError(f"there is no file {path}; name a checkpoint of the published code")
    return {name.removeprefix(WRAPPED): tensor for name, tensor in importing.read(path).items()}


def width(unet: Mapping[str, Tensor]) -> dict[str, int]:
    """Return the settings that say how wide a published U-Net is; heads leave no trace in its tensors."""
    first = unet.get("time_embedding.1.weight")
    if first is None or first.ndim != 2:
        raise StateError("this is no published U-Net: tensor time_embedding.1.weight is missing")
    base = int(first.shape[1])
    return {"base_channels": base, "heads": max(1, base // CHANNELS_PER_HEAD)}


def denoiser_state(config: Config, unet: Mapping[str, Tensor]) -> State:
    """Return the denoiser's part of a state; raise StateError naming the first tensor that does not fit."""
    wanted = empty_unet(shape_of(config)).state_dict()
    for name in sorted(wanted.keys() | unet.keys()):
        if name not in unet:
            raise StateError(f"the U-Net's file lacks tensor {name}; is image_size right?")
        if name not in wanted:
            raise StateError(f"the U-Net's file has a tensor {name} too many; is image_size right?")
        is_of, should_be = tuple(unet[name].shape), tuple(wanted[name].shape)
        if is_of != should_be:
            raise StateError(
                f"the U-Net's {name} is {is_of}, this config's {should_be}; "
                f"are base_channels and image_size right?"
            )
    return {f"denoiser/net/{name}": tensor.float().contiguous() for name, tensor in unet.items()}


def features_state(config: Config, adapted: Mapping[str, Tensor] | None) -> State:
    """Return the features' part of a state: from a published file, or of the untouched backbone.

    The file has torchvision's names, which are timm's for its residual networks, with layer4 and fc, which no
    map needs.
    """
    if config.backbone == NO_BACKBONE:
        if adapted is not None:
            raise ConfigError("the config has no backbone for these features; set backbone")
        return {"features/backbone": NO_BACKBONE}
    if adapted is not None:
        extractor = features.with_weights(config.backbone, config.feature_strides, adapted)
        found: State = adaptation.Adaptation(extractor).state()
    else:
        untouched = adaptation.fresh(config)
        untouched.finish(config)
        found = untouched.state()
    return {"features/backbone": config.backbone, **{f"features/{key}": each for key, each in found.items()}}


def compat_score_state(seed: int) -> State:
    """Return the last part of a state with `compat`, which learns nothing from images."""
    scale = {f"score/{key}": value for key, value in PixelScale().state().items()}
    return {**scale, "score/seed": determinism.derive(seed, "score"), "score/mixed": False}
