"""One step of the adversaries, and one of the encoder."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext
from ad_detectors.nets.learner import Learner, built
from ad_detectors.pixels import normalised
from ad_detectors.zoo.anogan.config import Config
from ad_detectors.zoo.anogan.networks import Discriminator, Encoder, Generator

GENERATOR, DISCRIMINATOR, ENCODER = "generator", "discriminator", "net"
Step = Callable[[Tensor, int], Mapping[str, float]]


def adversaries(config: Config, seed: int) -> Learner:
    """Return generator and discriminator, whose first weights depend on the seed alone."""
    size, base = config.image_size, config.base_channels
    return Learner(
        {
            GENERATOR: built(
                lambda: Generator(size, base, config.z_size), determinism.derive(seed, GENERATOR)
            ),
            DISCRIMINATOR: built(lambda: Discriminator(size, base), determinism.derive(seed, DISCRIMINATOR)),
        }
    )


def encoder(config: Config, seed: int) -> Learner:
    """Return the encoder, whose first weights depend on the seed alone."""
    size, base, z_size = config.image_size, config.base_channels, config.z_size
    return Learner({ENCODER: built(lambda: Encoder(size, base, z_size), determinism.derive(seed, "encoder"))})


def adversarial(learner: Learner, config: Config, ctx: FitContext) -> Step:
    """Return a step of both: the discriminator first, then the generator against it (non-saturating)."""
    draw, judge = learner.nets[GENERATOR], learner.nets[DISCRIMINATOR]

    def step_of(batch: Tensor, step: int) -> Mapping[str, float]:
        real = normalised(batch.to(ctx.device))
        generator = determinism.generator(ctx.seed, "z", step)
        z = torch.randn(len(real), config.z_size, generator=generator).to(ctx.device)
        made = draw(z)
        said, of_made = judge(real), judge(made.detach())
        loss = _against(said, config.real_label) + _against(of_made, 0.0)
        _step(learner.optimisers[DISCRIMINATOR], loss)
        # The judge's own gradients are not wanted here, and are cleared before its next step anyway.
        fooling = _against(judge(made), 1.0)
        _step(learner.optimisers[GENERATOR], fooling)
        return {
            "train/discriminator_loss": float(loss.detach()),
            "train/generator_loss": float(fooling.detach()),
        }

    return step_of


def guessing(learner: Learner, frozen: Mapping[str, nn.Module], config: Config, ctx: FitContext) -> Step:
    """Return a step of the encoder: image to z to image, also by features (f-AnoGAN's izi_f)."""
    draw, judge = frozen[GENERATOR], frozen[DISCRIMINATOR]
    guess = learner.nets[ENCODER]
    assert isinstance(judge, Discriminator)

    def step_of(batch: Tensor, step: int) -> Mapping[str, float]:
        del step
        images = normalised(batch.to(ctx.device))
        drawn = draw(guess(images))
        with torch.no_grad():
            features = judge.features(images)
        loss = F.mse_loss(drawn, images) + config.kappa * F.mse_loss(judge.features(drawn), features)
        _step(learner.optimisers[ENCODER], loss)
        return {"train/encoder_loss": float(loss.detach())}

    return step_of


def _against(logits: Tensor, wanted: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, wanted))


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
