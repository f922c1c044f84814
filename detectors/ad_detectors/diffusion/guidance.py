"""Where a chain is to go besides to clean images: gradients of what somebody wants of an image."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.schedule import Schedule
from ad_detectors.diffusion.training import Predict

Gradient = Callable[[Tensor, Tensor], Tensor]  # x_t (B, C, H, W), t (B,) -> the way up, of x_t's shape


def guided(predict: Predict, gradient: Gradient, schedule: Schedule, clip: bool = True) -> Predict:
    """Return a denoiser whose noise is that of `predict` with its score changed by a gradient.

    The noise is that which the clean estimate leaves, clipped to -1..1 unless told; what guidance makes of it
    is not clipped again, so the chain must not do it either. That is how guided-diffusion samples by DDIM.
    """

    def predicted(x: Tensor, t: Tensor) -> Tensor:
        abar = schedule.of(t)
        e = predict(x, t)[:, : x.shape[1]]
        if clip:
            e = samplers.noise_estimate(x, samplers.clean_estimate(x, e, abar), abar)
        return samplers.guided_noise(e, gradient(x, t), abar)

    return predicted


def gradients(value: Callable[..., Tensor], x: Tensor, *others: Tensor) -> Tensor:
    """Return the gradient by x (B, C, H, W) of a value (B,) of each image and its row of the others.

    On a CPU image by image: there rounding within a batch may depend on an image's place in it.
    """
    size = 1 if x.device.type == "cpu" else len(x)
    found = []
    for part, *rest in zip(*(each.split(size) for each in (x, *others)), strict=True):
        with torch.enable_grad():
            image = part.detach().requires_grad_(True)
            found.append(torch.autograd.grad(value(image, *rest).sum(), image)[0])
    return torch.cat(found)
