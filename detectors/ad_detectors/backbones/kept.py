"""A pretrained backbone as part of a detector's state, so that a model file needs no other weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ad_detectors.backbones import features
from ad_detectors.backbones.features import FeatureExtractor, Layers
from ad_detectors.errors import StateError
from ad_detectors.nets.moments import copied

if TYPE_CHECKING:
    from ad_detectors.api import State

NAME, NET = "backbone", "net/"


def state_of(name: str, extractor: FeatureExtractor, stage: str = "") -> dict[str, Tensor | str]:
    """Return copies of the weights on the CPU and the backbone's name; keys begin with `stage`."""
    return {f"{stage}{NAME}": name, **weights_of(extractor, stage)}


def weights_of(extractor: FeatureExtractor, stage: str = "") -> dict[str, Tensor]:
    """Return copies of the weights on the CPU; keys begin with `stage`."""
    weights = extractor.state_dict().items()
    return {f"{stage}{NET}{key}": copied(each) for key, each in weights}


def require(name: str, state: State, stage: str = "") -> None:
    """Raise StateError if a state has another backbone."""
    if (own := state.get(f"{stage}{NAME}")) != name:
        raise StateError(f"this state has the backbone '{own}', the config '{name}'")


def restored(name: str, layers: Layers, state: State, stage: str = "") -> FeatureExtractor:
    """Return the extractor with the weights in a state; raise StateError if they are of another one."""
    require(name, state, stage)
    extractor, start = features.empty(name, layers), f"{stage}{NET}"
    weights = {key.removeprefix(start): each for key, each in state.items() if key.startswith(start)}
    try:
        extractor.load_state_dict({key: each for key, each in weights.items() if isinstance(each, Tensor)})
    except RuntimeError as error:
        first = " ".join(str(error).split())[:160]
        raise StateError(f"this state's features do not fit '{name}': {first}") from error
    return extractor
