"""Scores as functions with a gradient: of what a detector exports, and of the highest value of a map."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

LEAST = 1e-12
SIGMA = 0.1  # of the noise of a bound, unless another is asked for; in shares of the range of values


class Exported:
    """The exported module of a detector as its score with a gradient; nothing in it is drawn."""

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        """Take what `Detector.export_module` returned to a device."""
        self._module = module.to(device).eval().requires_grad_(False)

    def scores(self, images: Tensor, generators: Sequence[torch.Generator], soft: float = 0.0) -> Tensor:
        """Return scores; see `api.Attackable`."""
        del generators
        found, maps = self._module(255.0 * images)
        return smooth_maximum(maps, soft) if soft > 0.0 else found

    def own_generators(self, images: Tensor) -> list[torch.Generator]:
        """Return generators that nothing is drawn from."""
        return [torch.Generator() for _ in images]

    def smoothing(
        self, sigma: float | None
    ) -> tuple[float, Callable[[Tensor, Sequence[torch.Generator]], Tensor]]:
        """Return the deviation that is asked for, and the score of what of a noised image a file can hold."""

        def noisy(images: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
            return self.scores(images.clamp(0.0, 1.0), generators)

        return sigma or SIGMA, noisy


def smooth_maximum(maps: Tensor, soft: float) -> Tensor:  # (B,)
    """Return about the highest value of each map (B, H, W): T log(sum(exp(map / T))).

    T is the share `soft` of the highest value, and counts as a constant.
    """
    flat = maps.flatten(1)
    heat = (soft * flat.detach().amax(dim=1, keepdim=True)).clamp(min=LEAST)
    return (torch.logsumexp(flat / heat, dim=1, keepdim=True) * heat)[:, 0]
