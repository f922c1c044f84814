"""What Adam remembers of each parameter, as named tensors: taken out for a checkpoint, and put back in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ad_detectors.errors import StateError

if TYPE_CHECKING:
    from ad_detectors.api import State

KINDS = ("exp_avg", "exp_avg_sq")


def of(optimiser: torch.optim.Optimizer, net: nn.Module) -> dict[str, Tensor]:
    """Return copies of an optimiser's moments as "<kind>/<parameter>"."""
    return {
        f"{kind}/{name}": copied(optimiser.state[parameter][kind])
        for name, parameter in net.named_parameters()
        for kind in KINDS
    }


def give_back(
    optimiser: torch.optim.Optimizer, net: nn.Module, step: int, moments: State, whose: str = ""
) -> None:
    """Put moments back into a fresh optimiser as of this step; raise StateError if one is missing.

    Their keys in `moments` begin with `whose`.
    """
    fused = bool(optimiser.defaults.get("fused"))  # only then is the count where the parameter is
    for name, parameter in net.named_parameters():
        remembered = {kind: _fitting(f"{whose}{kind}/{name}", moments, parameter, step) for kind in KINDS}
        count = torch.tensor(float(step), device=parameter.device if fused else "cpu")
        optimiser.state[parameter] = {"step": count, **remembered}


def copied(tensor: Tensor) -> Tensor:
    """Copy to the CPU, so that a state stays what it was while training goes on."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _fitting(key: str, moments: State, parameter: Tensor, step: int) -> Tensor:
    value = moments.get(key)
    if not isinstance(value, Tensor) or value.shape != parameter.shape:
        raise StateError(f"this state is of step {step} but lacks training/{key}")
    return torch.empty_like(parameter).copy_(value).detach()
