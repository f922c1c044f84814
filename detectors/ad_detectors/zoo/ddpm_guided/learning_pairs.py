"""What both networks learn from: normal images, anomalous ones beside them, and noise of any strength."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext
from ad_detectors.data.anomalous import Anomalies
from ad_detectors.device import mixed_precision
from ad_detectors.diffusion import samplers
from ad_detectors.diffusion.schedule import Schedule
from ad_detectors.diffusion.training import PredictGiven
from ad_detectors.nets.learner import Learner
from ad_detectors.pixels import normalised, shown_again

NORMAL, ANOMALOUS = 0, 1
QUARTERS = 4  # of the noise levels, each of which has an accuracy of its own


@dataclass(frozen=True)
class Pairs:
    """Noised images, a normal one and an anomalous one in turn."""

    x: Tensor  # (2 B, C, H, W)
    t: Tensor  # (2 B,)
    classes: Tensor  # (2 B,)
    noise: Tensor  # (2 B, C, H, W)


def drawn(
    images: Tensor, anomalies: Anomalies, levels: int, seed: int, step: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return for images (B, C, H, W) in -1..1 an anomalous one each, steps (B, 2), noise (B, 2, C, H, W)."""
    beside = normalised(anomalies.beside(shown_again(images), step))
    generator = determinism.generator(seed, "noise", step)
    t = torch.randint(levels, (len(images), 2), generator=generator)
    return beside, t, torch.randn(len(images), 2, *images.shape[1:], generator=generator)


def paired(schedule: Schedule, images: Tensor, beside: Tensor, t: Tensor, noise: Tensor) -> Pairs:
    """Return what was drawn as noised images."""
    clean, every_t, every_noise = (
        torch.stack([images, beside], 1).flatten(0, 1),
        t.flatten(),
        noise.flatten(0, 1),
    )
    classes = torch.tensor([NORMAL, ANOMALOUS], device=images.device).repeat(len(images))
    return Pairs(samplers.noised(clean, every_noise, schedule.of(every_t)), every_t, classes, every_noise)


class NamingNoise:
    """To name the noise in an image whose class is told (DDPM, arXiv 2006.11239, eq. 14)."""

    def __init__(self, anomalies: Anomalies, levels: int, schedule: Schedule, seed: int) -> None:
        self.anomalies, self.levels, self.schedule, self.seed = anomalies, levels, schedule, seed

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return what `drawn` does."""
        return drawn(images, self.anomalies, self.levels, self.seed, step)

    def losses(self, predict: PredictGiven, images: Tensor, *given: Tensor) -> Tensor:
        """Return the mean squared distance of predicted and true noise of each image and its companion."""
        pairs = paired(self.schedule, images, *given)
        found = predict(pairs.x, pairs.t, pairs.classes).float()
        return (found - pairs.noise).square().mean(dim=(1, 2, 3)).view(-1, 2).mean(1)


class NamingClasses:
    """To say which noised images are anomalous: one step of a classifier's training."""

    def __init__(
        self,
        learner: Learner,
        anomalies: Anomalies,
        levels: int,
        schedule: Schedule,
        ctx: FitContext,
        seed: int,
        divisor: int,
    ) -> None:
        self.learner, self.anomalies, self.levels, self.schedule = learner, anomalies, levels, schedule
        self.ctx, self.seed, self.divisor = ctx, seed, divisor

    def __call__(self, batch: Tensor, step: int) -> Mapping[str, float]:
        """Learn from a uint8 batch, computed in `divisor` parts; return the loss, and what was right."""
        images = normalised(batch)
        everything = images, *drawn(images, self.anomalies, self.levels, self.seed, step)
        optimiser, loss = self.learner.optimisers["net"], 0.0
        optimiser.zero_grad(set_to_none=True)
        right, levels = [], []
        for part in zip(*(each.to(self.ctx.device).chunk(self.divisor) for each in everything), strict=True):
            pairs = paired(self.schedule, *part)
            with mixed_precision(self.ctx.device, self.ctx.autocast):
                logits = self.learner.nets["net"](pairs.x, pairs.t).float()
            partial = F.cross_entropy(logits, pairs.classes, reduction="sum") / (2 * len(images))
            partial.backward()  # type: ignore[no-untyped-call]
            loss += float(partial.detach())
            right.append((logits.argmax(1) == pairs.classes).float().cpu())
            levels.append(pairs.t.cpu())
        optimiser.step()
        return {"train/classifier_loss": loss, **self._accuracy(torch.cat(right), torch.cat(levels))}

    def _accuracy(self, right: Tensor, levels: Tensor) -> Mapping[str, float]:
        """Return the share that was right, of all and of each quarter of the noise levels that was drawn."""
        found = {"train/accuracy": float(right.mean())}
        for quarter in range(QUARTERS):
            low, high = (self.levels * each // QUARTERS for each in (quarter, quarter + 1))
            within = right[(levels >= low) & (levels < high)]
            if len(within):
                found[f"train/accuracy_below_{high}"] = float(within.mean())
        return found
