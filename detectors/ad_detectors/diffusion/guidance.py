"""Where a chain is to go besides to clean images: gradients of what somebody wants of an image."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor

from ad_detectors.determinism import using_threads
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.schedule import Schedule
from ad_detectors.diffusion.training import Predict

SMALL = 3 * 64 * 64  # numbers of an image that several threads gain little from
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

    An image's gradient does not depend on its place in the batch, as it would where a CPU's threads share out
    a batch: there small images are computed on one thread, and larger ones one by one.
    """
    on_cpu, small = x.device.type == "cpu", x[0].numel() <= SMALL
    size = 1 if on_cpu and not small else len(x)
    threads = using_threads(1) if on_cpu and small else nullcontext()
    found = []
    with threads:
        for part, *rest in zip(*(torch.split(each, size) for each in (x, *others)), strict=True):
            with torch.enable_grad():
                image = part.detach().requires_grad_(True)
                found.append(torch.autograd.grad(value(image, *rest).sum(), image)[0])
    return torch.cat(found)
