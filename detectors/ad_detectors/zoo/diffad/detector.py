"""DiffAD: the normal image that belongs to one is drawn, and a network marks where the two differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.device import mixed_precision
from ad_detectors.diffusion import learning
from ad_detectors.diffusion.latent_detecting import NET, LatentDetector
from ad_detectors.diffusion.latents import Numbers, Remembered
from ad_detectors.errors import StateError
from ad_detectors.maps import stretched, to_model_size, to_size
from ad_detectors.nets.learner import Adam, Learner, Update, built
from ad_detectors.nets.unet import UNetShape
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.diffad import autoencoder, conditioning, segmenter
from ad_detectors.zoo.diffad.autoencoder import KLAutoencoder
from ad_detectors.zoo.diffad.conditioning import ConditionedTask, Drawing
from ad_detectors.zoo.diffad.config import NO_EXPORT
from ad_detectors.zoo.diffad.config import Config as DiffADConfig
from ad_detectors.zoo.diffad.pairs import Pairs
from ad_detectors.zoo.diffad.segmenter import Segmenter

if TYPE_CHECKING:
    from ad_detectors.api import State


class DiffAD(LatentDetector):
    """DiffAD: autoencoder, noisy condition, interpolated channels, segmentation net.

    Differs from the published code where that does not run, or scores otherwise than it has learnt to: see
    the page of the detector.
    """

    Config = DiffADConfig
    config: DiffADConfig
    name = "diffad"
    third = "segmenter"
    no_export = NO_EXPORT

    def __init__(self, config: DiffADConfig) -> None:
        super().__init__(config)
        self._segmenter: Learner | None = None
        self._pairs: Pairs | None = None  # of the fit that is going on

    def fit(self, data: Images, ctx: FitContext) -> None:
        """Learn autoencoder, denoiser and segmentation net, all from the same pairs."""
        self._pairs = Pairs(data, self.config, determinism.derive(ctx.seed, "pairs"))
        try:
            super().fit(data, ctx)
        finally:
            self._pairs = None

    def to(self, device: torch.device) -> None:
        """Move the networks to a device."""
        super().to(device)
        if self._segmenter is not None:
            self._segmenter.to(device)

    def _new_autoencoder(self, seed: int) -> Learner:
        shape = autoencoder.shape_of(self.config)
        return Learner({NET: built(lambda: KLAutoencoder(shape), determinism.derive(seed, "autoencoder"))})

    def _shown_to_autoencoder(self, data: Images, ctx: FitContext) -> Images:
        del data, ctx
        return self._learnt_from()

    def _autoencoder_update(self, learner: Learner, ctx: FitContext) -> Update:
        config = self.config
        shape = autoencoder.shape_of(config)

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            images = normalised(batch.to(ctx.device))
            generator = determinism.generator(ctx.seed, "latents", step)
            noise = torch.randn(len(batch), shape.channels, shape.side, shape.side, generator=generator)
            with mixed_precision(ctx.device, ctx.autocast):
                found = learner.nets[NET](images, noise.to(ctx.device))
            loss = autoencoder.loss_of(config.kl_weight, images, *found)
            _step(learner.optimisers[NET], loss)
            return {"train/autoencoder_loss": float(loss.detach())}

        return update

    def _encoded(self, pictures: Tensor) -> Tensor:
        assert self._autoencoder is not None
        return autoencoder.encode(self._autoencoder.nets[NET], pictures, self._mixed)[0]

    def _unet_shape(self) -> UNetShape:
        return conditioning.unet_shape(self.config)

    def _task(self, data: Images, ctx: FitContext) -> tuple[Images, learning.Task]:
        del data
        if self._autoencoder is None or self._scale is None:
            raise StateError("diffad's denoiser learns from its autoencoder, which this state lacks")
        pairs, net = self._learnt_from(), self._autoencoder.nets[NET]

        def latents(numbers: Tensor) -> tuple[Tensor, ...]:
            """Return mean and deviation of the normal pictures' latents, and those of the given ones."""
            found = pairs.of(numbers.tolist())
            mean, deviation = autoencoder.encode(net, normalised(found.normal.to(ctx.device)), self._mixed)
            given = normalised(found.given.to(ctx.device))
            return mean, deviation, autoencoder.encode(net, given, self._mixed)[0]

        remembered = Remembered(latents, self.batch_divisor)
        return Numbers(pairs), ConditionedTask(self.config, remembered, self._scale, ctx.seed)

    def _third_steps(self, data: Images) -> int:
        del data
        return self.config.segmenter_steps

    def _fit_third(self, data: Images, ctx: FitContext, before: int, of: int) -> None:
        del data
        config = self.config
        self._frozen()  # fail now where a stage before this one is missing
        if self._segmenter is None or not self._segmenter.unfinished:
            self._segmenter = self._new_segmenter(ctx.seed)
        learner = self._segmenter
        for losses in learner.train(
            Numbers(self._learnt_from()),
            ctx,
            steps=config.segmenter_steps,
            batch_size=config.batch_size,
            adam=Adam(lr=config.segmenter_lr),
            update=self._segmenter_update(learner, ctx),
        ):
            ctx.report(before + learner.step, of=of, **losses)
        learner.finish()

    def _segmenter_update(self, learner: Learner, ctx: FitContext) -> Update:
        config, pairs = self.config, self._learnt_from()
        net, optimiser = learner.nets["net"], learner.optimisers
        drawing = Drawing(calls=config.taught_sampling, limit=config.limit)

        def latents(numbers: Tensor) -> tuple[Tensor, ...]:
            """Return what the denoiser makes of pairs, and the condition it made it from; both scaled."""
            given = pairs.of(numbers.tolist()).given
            seeds = [determinism.generator(ctx.seed, "drawn", number) for number in numbers.tolist()]
            return self._latents(normalised(given.to(ctx.device)), drawing, seeds)

        remembered = Remembered(latents, self.batch_divisor)

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            found = pairs.of(batch.tolist())
            with torch.no_grad():
                z, condition = remembered.of(batch.tolist(), ctx.device)
                seen = self._joined(normalised(found.given.to(ctx.device)), z, condition)
            with mixed_precision(ctx.device, ctx.autocast):
                logits = net(seen)
            loss = segmenter.focal_loss(logits, found.masks.to(ctx.device), config.gamma)
            for group in optimiser["net"].param_groups:
                group["lr"] = config.segmenter_lr * segmenter.rate_at(step / config.segmenter_steps)
            _step(optimiser["net"], loss)
            return {"train/segmenter_loss": float(loss.detach())}

        return update

    def _third_state(self) -> State:
        return self._segmenter.state() if self._segmenter is not None else {}

    def _restore_third(self, state: State) -> None:
        learner = self._new_segmenter(0)
        learner.restore(state, "diffad's segmentation net")
        self._segmenter = learner

    def _new_segmenter(self, seed: int) -> Learner:
        config = self.config
        shape = 3 * (2 + len(config.mixes)), config.segmenter_channels, config.segmenter_levels
        return Learner({"net": built(lambda: Segmenter(*shape), determinism.derive(seed, "segmenter"))})

    def _latents(
        self, pictures: Tensor, drawing: Drawing, generators: list[torch.Generator]
    ) -> tuple[Tensor, Tensor]:
        """Return the latents drawn for pictures in -1..1, and their own; both scaled, (B, C, h, w)."""
        net, scale, predict = self._frozen()
        condition = autoencoder.encode(net, pictures, self._mixed)[0] / scale
        return conditioning.rebuilt(predict, condition, drawing, generators), condition

    def _joined(self, pictures: Tensor, z: Tensor, condition: Tensor) -> Tensor:
        net, scale, _ = self._frozen()
        return conditioning.joined(
            lambda each: autoencoder.decode(net, each * scale, self._mixed),
            pictures,
            z,
            condition,
            self.config.mixes,
        )

    def _drawn(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return uint8 images in -1..1 at the model's size, the latents drawn for them, and their own."""
        config = self.config
        if self._seed is None:
            raise self._unfitted()
        small = to_model_size(images, config.image_size)
        generators = [determinism.image_generator(self._seed, image) for image in small]
        pictures = normalised(small.to(self._device))
        drawing = Drawing(calls=config.sampling, limit=config.limit, at=config.condition_step)
        return pictures, *self._latents(pictures, drawing, generators)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        learner = self._segmenter
        if learner is None or learner.unfinished:
            raise self._unfitted()
        seen = self._joined(*self._drawn(images))
        with mixed_precision(self._device, self._mixed):
            logits = learner.nets["net"](seen)
        maps = segmenter.marked(logits)
        scores = segmenter.highest(maps, self.config.pool)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return what the denoiser draws where images are conditions, at their size."""
        _, z, _ = self._drawn(images)
        net, scale, _ = self._frozen()
        rebuilt = autoencoder.decode(net, z * scale, self._mixed)
        return (to_size(shown_again(rebuilt), *images.shape[-2:]),)

    def _learnt_from(self) -> Pairs:
        assert self._pairs is not None  # there from the start of a fit to its end
        return self._pairs


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    optimiser.step()
