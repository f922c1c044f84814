"""Several reconstructions of one image by a ready diffusion model, all in one batch, and their error."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.chains import Sampling, denoise, gaussian
from ad_detectors.diffusion.schedule import Schedule, linear
from ad_detectors.diffusion.strides import respaced, strided
from ad_detectors.diffusion.training import Predict
from ad_detectors.zoo.guided_ddm.config import Config

LEAST_TOGETHER = 2  # reconstructions: a single small one would be convolved by other code than several


def stretched(images: Tensor, wanted: bool) -> Tensor:
    """Return images (B, 3, H, W) in -1..1, each stretched to all of that range if wanted.

    A flat image has no range to stretch, and stays as it is.
    """
    if not wanted:
        return images
    low, high = (each[:, None, None, None] for each in images.flatten(1).aminmax(dim=1))
    wide = high - low
    return torch.where(wide > 0.0, 2.0 * (images - low) / wide.clamp(min=1e-12) - 1.0, images)


def rebuilt(
    predict: Predict, image: Tensor, generator: torch.Generator, config: Config, together: int
) -> Tensor:
    """Return reconstructions (repeats, 3, S, S) of an image (3, S, S), each of noise of its own.

    So many are computed `together`; that changes none of them.
    """
    base = int(torch.randint(2**62, (1,), generator=generator))
    own = [determinism.generator(base, "repeat", number) for number in range(config.repeats)]
    schedule = linear(dtype=torch.float64)
    found = []
    for first in range(0, config.repeats, together):
        some = own[first : first + together]
        # A last one alone is computed beside a copy, see LEAST_TOGETHER.
        some += [torch.Generator().manual_seed(base)] * (min(together, LEAST_TOGETHER) - len(some))
        kept = min(together, config.repeats - first)
        found.append(_group(predict, image, some, config, schedule)[:kept])
    return torch.cat(found)


def error(image: Tensor, pictures: Tensor, config: Config) -> Tensor:  # (3, S, S), (N, 3, S, S) -> (S, S)
    """Return the mean over reconstructions of the squared error summed over colours, in a Gaussian window."""
    squared = (image - pictures).square().sum(1)
    return windowed(squared.mean(0), config.kernel_size, config.blur_sigma)


def windowed(values: Tensor, side: int, sigma: float) -> Tensor:  # (H, W)
    """Return the mean in a Gaussian window of so many pixels, with reflected borders."""
    if side == 1:
        return values
    places = torch.arange(side, dtype=torch.float32, device=values.device) - side // 2
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel = kernel / kernel.sum()
    padded = F.pad(values[None, None], (side // 2,) * 4, mode="reflect")
    rows = F.conv2d(padded, kernel[None, None, :, None])
    return F.conv2d(rows, kernel[None, None, None, :])[0, 0]


def _group(
    predict: Predict, image: Tensor, generators: list[torch.Generator], config: Config, schedule: Schedule
) -> Tensor:
    starts = [_start(generator, config) for generator in generators]
    noise = gaussian(generators, image.shape, image.device)
    at = torch.tensor(starts)
    x = samplers.noised(image.expand(len(starts), *image.shape), noise(at), schedule.of(at))
    steps = [_steps(start - 1 if config.compat and start > 0 else start, config) for start in starts]
    sampling = Sampling(schedule=schedule, sampler=config.sampler, learned_variance=config.sampler == "ddpm")
    return denoise(predict, x, steps, sampling, noise)


def _start(generator: torch.Generator, config: Config) -> int:
    low = int(config.noise_step * (1.0 - config.jitter))
    high = max(low + 1, int(config.noise_step * (1.0 + config.jitter)))
    return int(torch.randint(low, high, (1,), generator=generator))


def _steps(start: int, config: Config) -> list[int]:
    return respaced(start + 1, config.calls) if config.calls else strided(start)
