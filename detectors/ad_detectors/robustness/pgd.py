"""Projected gradient descent on a score: change an image a little so that the score moves as wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from ad_detectors.robustness.asked import Attack

# Images (B, C, H, W) in 0..1, and a CPU generator for each, to scores (B,)
Score = Callable[[Tensor, Sequence[torch.Generator]], Tensor]
LEAST = 1e-12  # length of a gradient that counts as none


def pgd(
    score: Score, images: Tensor, raising: Tensor, attack: Attack, generators: Sequence[torch.Generator]
) -> Tensor:
    """Return images (B, C, H, W) within the attack's ball and within 0..1 whose scores are changed most.

    Scores are raised where `raising` (B,) says so and lowered elsewhere. Where a score draws noise, each step
    follows the mean gradient over `eot` draws (Athalye et al. 2018, arXiv 1802.00420), and the best image of
    all steps, the first one among them, is kept: best by the mean of as many draws. Every image is attacked
    for itself, whatever its batch.
    """
    clean = images.detach()
    way = torch.where(raising.to(clean.device), 1.0, -1.0)
    best, best_gain = clean.clone(), torch.full_like(way, -torch.inf)
    current = clean.clone()
    for step in range(attack.steps + 1):
        last = step == attack.steps
        gain, gradient = _gain(score, current, way, attack.eot, generators, with_gradient=not last)
        better = gain > best_gain
        best = torch.where(_wide(better), current, best)
        best_gain = torch.where(better, gain, best_gain)
        if gradient is not None:
            current = projected(current + attack.rate * direction(gradient, attack), clean, attack)
    return best


def direction(gradient: Tensor, attack: Attack) -> Tensor:
    """Return the steepest direction of length 1 in the attack's norm; where there is no gradient, none."""
    if attack.norm == "linf":
        return gradient.sign()
    length = gradient.flatten(1).norm(dim=1)
    return gradient / _wide(length.clamp(min=LEAST))


def projected(images: Tensor, clean: Tensor, attack: Attack) -> Tensor:
    """Return the nearest images in the ball about the clean ones, then in 0..1, which stays in the ball."""
    change = images - clean
    if attack.norm == "linf":
        change = change.clamp(-attack.eps, attack.eps)
    else:
        length = change.flatten(1).norm(dim=1)
        change = change * _wide((attack.eps / length.clamp(min=LEAST)).clamp(max=1.0))
    return (clean + change).clamp(0.0, 1.0)


def _gain(
    score: Score,
    images: Tensor,
    way: Tensor,
    draws: int,
    generators: Sequence[torch.Generator],
    *,
    with_gradient: bool,
) -> tuple[Tensor, Tensor | None]:
    """Return the mean score in the wanted way (B,), and its gradient, draw by draw: memory is that of one."""
    total, gradient = torch.zeros_like(way), torch.zeros_like(images) if with_gradient else None
    for _ in range(draws):
        if gradient is None:
            with torch.no_grad():
                total += way * score(images, generators)
            continue
        asked = images.clone().requires_grad_(True)
        with torch.enable_grad():
            found = way * score(asked, generators)
            (own,) = torch.autograd.grad(found.sum(), asked)
        total += found.detach()
        gradient += torch.nan_to_num(own, nan=0.0, posinf=0.0, neginf=0.0)
    return total / draws, gradient


def _wide(numbers: Tensor) -> Tensor:
    return numbers[:, None, None, None]
