"""A pretrained backbone as part of a detector's state, so that a model file needs no other weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

from ad_detectors.backbones import features
from ad_detectors.backbones.features import FeatureExtractor, Layers
from ad_detectors.errors import StateError

if TYPE_CHECKING:
    from ad_detectors.api import State

NAME, NET = "backbone", "net/"


def state_of(name: str, extractor: FeatureExtractor, stage: str = "") -> dict[str, Tensor | str]:
    """Return copies of the weights on the CPU and the backbone's name; keys begin with `stage`."""
    weights = extractor.state_dict().items()
    kept: dict[str, Tensor | str] = {f"{stage}{NAME}": name}
    return kept | {f"{stage}{NET}{key}": each.detach().to("cpu", copy=True) for key, each in weights}


def restored(name: str, layers: Layers, state: State, stage: str = "") -> FeatureExtractor:
    """Return the extractor with the weights in a state; raise StateError if they are of another one."""
    if (own := state.get(f"{stage}{NAME}")) != name:
        raise StateError(f"this state has the backbone '{own}', the config '{name}'")
    extractor, start = features.empty(name, layers), f"{stage}{NET}"
    weights = {key.removeprefix(start): each for key, each in state.items() if key.startswith(start)}
    try:
        extractor.load_state_dict({key: each for key, each in weights.items() if isinstance(each, Tensor)})
    except RuntimeError as error:
        first = " ".join(str(error).split())[:160]
        raise StateError(f"this state's features do not fit '{name}': {first}") from error
    return extractor
