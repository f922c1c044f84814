"""Restoring noised patches: the training's task, and an image of which every patch was restored.

After Behrendt, Bhattacharya, Krüger, Opfer and Schlaefer (arXiv 2303.03758, section 3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.noises import TrainingNoise
from ad_detectors.diffusion.schedule import Schedule, cosine, linear
from ad_detectors.diffusion.training import Predict
from ad_detectors.zoo.pddpm import patches
from ad_detectors.zoo.pddpm.config import Config

TOGETHER = 32  # images that the network is given at once: patches of one image are images to it


def schedule_of(config: Config) -> Schedule:
    """Return the noise schedule of a config, in float64."""
    return cosine() if config.schedule == "cosine" else linear(dtype=torch.float64)


def partly_noised(clean: Tensor, noise: Tensor, abar: Tensor, within: Tensor) -> Tensor:
    """Return images (B, C, H, W) that are noised where `within` (B, 1, H, W) says so, and nowhere else."""
    return torch.where(within, samplers.noised(clean, noise, abar), clean)


class RestoringTask:
    """To name the clean image, one patch of which is noised at a step that is drawn."""

    def __init__(self, config: Config, seed: int) -> None:
        self.config, self.seed = config, seed
        self.schedule = schedule_of(config)
        self._noise = TrainingNoise(config, seed)
        boxes = patches.grid(config.image_size, config.patch_size, config.patch_size)
        self._grid = torch.tensor(boxes)  # (patches, 4)

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return steps (B,), noise and boxes (B, 4)."""
        generator = determinism.generator(self.seed, "noise", step)
        count = len(images)
        t = torch.randint(self.config.noise_levels, (count,), generator=generator)
        if self.config.boxes == "grid":
            boxes = self._grid[torch.randint(len(self._grid), (count,), generator=generator)]
        else:
            high = self.config.image_size - self.config.patch_size + 1
            corner = torch.randint(high, (count, 2), generator=generator)
            boxes = torch.cat([corner, corner + self.config.patch_size], dim=1)
        return t, self._noise.drawn(t, images.shape[1:], generator), boxes

    def losses(self, predict: Predict, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return each image's distance from its restoration, which outside of the patch is the image.

        As published it is the mean over all pixels: the patch's, times its share of the image.
        """
        t, noise, boxes = drawn
        within = patches.inside(boxes, *images.shape[-2:])
        shown = partly_noised(images, noise, self.schedule.of(t), within)
        apart = (predict(shown, t).float() - images) * within
        each = apart.abs() if self.config.loss == "l1" else apart.square()
        return each.mean(dim=(1, 2, 3))


def restored(predict: Predict, images: Tensor, noise: Tensor, config: Config) -> Tensor:
    """Return images (B, C, S, S), each patch of which was noised and restored in one step.

    All patches are noised with pieces of the same noise (B, C, S, S).
    """
    side, patch, stride = config.image_size, config.patch_size, config.stride or config.patch_size
    boxes, count = patches.grid(side, patch, stride), len(images)
    at, schedule = max(1, TOGETHER // count), schedule_of(config)
    parts: list[Tensor] = []
    for first in range(0, len(boxes), at):
        some = boxes[first : first + at]
        number = len(some)
        t = torch.full((number * count,), config.noise_step - 1)
        within = patches.inside(torch.tensor(some, device=images.device), side, side)
        shown = partly_noised(
            images.repeat(number, 1, 1, 1),
            noise.repeat(number, 1, 1, 1),
            schedule.of(t),
            within.repeat_interleave(count, dim=0),
        )
        parts += predict(shown, t.to(images.device)).chunk(number)
    return patches.joined(parts, side, patch, stride, config.joining)
