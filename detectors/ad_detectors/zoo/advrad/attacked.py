"""AdvRAD's score as a function with a gradient, and as one of images under noise, which bounds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.diffusion.training import Predict
from ad_detectors.gradients import smooth_maximum
from ad_detectors.maps import image_scores
from ad_detectors.zoo.advrad import restoring
from ad_detectors.zoo.advrad.config import Config


@dataclass(frozen=True)
class AttackedScore:
    """What `AdvRAD.score` computes, through the restoration and back; see `api.Attackable`."""

    predict: Predict
    mean: Tensor  # (S, S) of the errors of normal images
    seed: int
    config: Config
    device: torch.device

    def scores(self, images: Tensor, generators: Sequence[torch.Generator], soft: float = 0.0) -> Tensor:
        """Return scores (B,) of images (B, 3, S, S) in 0..1, each noised from its own generator."""
        noise = restoring.noise_of(generators, self.config, self.device)
        error, _ = restoring.errors(self.predict, images * 2.0 - 1.0, noise, self.config)
        return self._judged(error, soft)

    def own_generators(self, images: Tensor) -> list[torch.Generator]:
        """Return those that `AdvRAD.score` draws from for uint8 images."""
        return [determinism.image_generator(self.seed, image) for image in images]

    def smoothing(
        self, sigma: float | None
    ) -> tuple[float, Callable[[Tensor, Sequence[torch.Generator]], Tensor]]:
        """Return the deviation of a noise step, and the score of images that are noised already.

        An image under noise of that deviation is, but for its scale, the image at that step (Carlini et al.
        2023, arXiv 2206.10550): it is restored from there at once, and compared as it is, noise and all.
        """
        config, schedule = self.config, restoring.schedule_of(self.config)
        # Of images in -1..1; half of it in 0..1.
        wide = ((1.0 - schedule.abar) / schedule.abar).sqrt()[: config.noise_levels]
        step = config.noise_step - 1 if sigma is None else int((wide / 2.0 - sigma).abs().argmin())
        deviation, kept = float(wide[step]), float(schedule.abar[step].sqrt())
        # What the noise alone adds to the error: at a smaller scale means are taken over more pixels.
        added = deviation**2 * sum(1.0 / scale**2 for scale in config.scales) / len(config.scales)

        def noisy(images: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
            del generators
            shown = images * 2.0 - 1.0
            found = restoring.restored(self.predict, kept * shown, schedule, step + 1, shots=1)
            return self._judged(restoring.error_map(shown, found, config) - added)

        return deviation / 2.0, noisy

    def _judged(self, error: Tensor, soft: float = 0.0) -> Tensor:
        maps = (error - self.mean).abs()
        return smooth_maximum(maps, soft) if soft > 0.0 else image_scores(maps, self.config.image_score)
