"""The names that three published families give the tensors of one U-Net, and their translation.

"ddad" has ours behind "module." (saved from torch's DataParallel), "anoddpm" has ours, and "guided" are those
of guided-diffusion (Dhariwal and Nichol 2021, arXiv 2105.05233). Layers and their order are the same in all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from torch import Tensor

from ad_detectors.errors import StateError
from ad_detectors.nets.unet import UNet, UNetShape, empty_unet

Style = Literal["ddad", "anoddpm", "guided"]
WRAPPED = "module."
GUIDED_FIRST = {
    "down": "input_blocks",
    "middle": "middle_block",
    "up": "output_blocks",
    "time_embedding": "time_embed",
    "class_embedding": "label_emb",
}
GUIDED_WITHIN = {"embed_layers": "emb_layers", "to_qkv": "qkv"}
TIME = {"1": "0", "3": "2"}  # our sequence starts with the sinusoid, theirs after it


def style_of(names: Iterable[str]) -> Style:
    """Return whose names a state dict has; raise StateError where they are nobody's."""
    known = list(names)
    if any(name.startswith("time_embed.") for name in known):
        return "guided"
    if any(name.startswith(f"{WRAPPED}time_embedding.") for name in known):
        return "ddad"
    if any(name.startswith("time_embedding.") for name in known):
        return "anoddpm"
    first = f"; its first is '{known[0]}'" if known else ""
    raise StateError(
        f"these {len(known)} tensors have the names of no U-Net that is known: ddad, anoddpm, guided{first}"
    )


def to_style(name: str, style: Style) -> str:
    """Return what a family calls one of our tensors."""
    if style == "anoddpm":
        return name
    if style == "ddad":
        return WRAPPED + name
    first, *rest = name.split(".")
    if first == "time_embedding":
        rest[0] = TIME[rest[0]]
    first = GUIDED_FIRST.get(first, first)
    return ".".join([first, *(GUIDED_WITHIN.get(part, part) for part in rest)])


def renamed(tensors: Mapping[str, Tensor], style: Style) -> dict[str, Tensor]:
    """Return a state dict of ours under a family's names."""
    return {to_style(name, style): tensor for name, tensor in tensors.items()}


def ours(tensors: Mapping[str, Tensor], shape: UNetShape) -> dict[str, Tensor]:
    """Return a family's state dict under our names, in our order.

    Raises StateError that names, as the file does, the first tensor that is missing, too many or of another
    shape than this U-Net's.
    """
    style = style_of(tensors)
    like = empty_unet(shape).state_dict()
    wanted = {to_style(name, style): name for name in like}
    for name in sorted(wanted.keys() ^ tensors.keys(), key=_in_order):
        verb = "lacks" if name in wanted else "has more than this U-Net, such as"
        raise StateError(f"this file {verb} tensor {name}; are image size, blocks and multipliers right?")
    for theirs, name in wanted.items():
        found, expected = tuple(tensors[theirs].shape), tuple(like[name].shape)
        if found != expected:
            raise StateError(f"{theirs} is {found} in this file, but {expected} in this U-Net; wrong width?")
    return {name: tensors[theirs] for theirs, name in wanted.items()}


def load(tensors: Mapping[str, Tensor], shape: UNetShape) -> UNet:
    """Return a U-Net with the tensors of any family, as float32 and ready to predict; raise StateError."""
    net = empty_unet(shape)
    named = ours(tensors, shape)
    net.load_state_dict({name: tensor.float() for name, tensor in named.items()}, assign=True)
    return net.requires_grad_(True).eval()


def _in_order(name: str) -> list[tuple[int, str]]:
    """Sort numbers within names by their size."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in name.split(".")]
