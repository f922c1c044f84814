"""The autoencoder as a detector: how far an image is from what comes back of it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.maps import stretched, to_model_size, to_size
from ad_detectors.microbatching import RebuildingDetector
from ad_detectors.nets.detecting import NetworkDetector
from ad_detectors.nets.learner import Adam, Learner, built
from ad_detectors.pixels import normalised, shown_again
from ad_detectors.zoo.autoencoder.config import Config as AutoencoderConfig
from ad_detectors.zoo.autoencoder.network import AutoencoderNet, Judge, loss_of


class Autoencoder(NetworkDetector, RebuildingDetector):
    """A convolutional autoencoder, trained on normal images alone.

    Differs from the code it follows: it is convolutional throughout, so that any size will do and no layer
    has 65 million weights, and it has a score, which that lacks.
    """

    Config = AutoencoderConfig
    name = "autoencoder"
    config: AutoencoderConfig

    def export_module(self) -> nn.Module:
        """Return the network and its map as a module."""
        return copy.deepcopy(self._judge()).to("cpu")

    def _fresh(self, seed: int) -> Learner:
        config = self.config
        derived = determinism.derive(seed, "autoencoder")
        return Learner({"net": built(lambda: AutoencoderNet(config.widths, config.latent), derived)})

    def _train(self, learner: Learner, data: Images, ctx: FitContext) -> None:
        config = self.config

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            del step
            images = normalised(batch.to(ctx.device))
            loss = loss_of(config.loss, images, learner.nets["net"](images))
            optimiser = learner.optimisers["net"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            return {"train/loss": float(loss.detach())}

        steps = config.train_steps(len(data))
        adam = Adam(lr=config.lr, weight_decay=config.weight_decay)
        made = learner.train(data, ctx, steps=steps, batch_size=config.batch_size, adam=adam, update=update)
        for losses in made:
            ctx.report(learner.step, of=steps, **losses)

    def _judge(self) -> Judge:
        config, net = self.config, cast("AutoencoderNet", self._fitted().nets["net"])
        return Judge(net, config.measure, config.image_score, config.blur_sigma)

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        judge = self._judge()
        scores, maps = judge(to_model_size(images, self.config.image_size).to(self._device))
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()

    def _rebuild_microbatch(self, images: Tensor) -> tuple[Tensor]:
        """Return what comes back of images, at their size; the distances are of these pictures."""
        judge = self._judge()
        pixels = normalised(to_model_size(images, self.config.image_size).to(self._device))
        height, width = images.shape[-2:]
        return (to_size(shown_again(judge.net(pixels)), height, width),)
