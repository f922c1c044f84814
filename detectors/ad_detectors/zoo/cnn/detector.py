"""The classifier as a detector: half of every batch is anomalous, labelled or made up."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.data.anomalous import Anomalies
from ad_detectors.maps import stretched, to_model_size
from ad_detectors.nets.detecting import NetworkDetector
from ad_detectors.nets.learner import Adam, Learner, built
from ad_detectors.pixels import normalised
from ad_detectors.zoo.cnn.config import Config as CNNConfig
from ad_detectors.zoo.cnn.network import Classifier, Judge


class CNN(NetworkDetector):
    """Three blocks of convolution, ReLU and pooling, two fully connected layers, softmax.

    Differs from the code it follows: defects need not be labelled, classes are balanced within every batch,
    any size will do, and the log-odds come with a map of the places that they are made of.
    """

    Config = CNNConfig
    name = "cnn"
    config: CNNConfig

    def export_module(self) -> nn.Module:
        """Return the network, with what each place adds to its verdict, as a module."""
        return copy.deepcopy(self._judge()).to("cpu")

    def _fresh(self, seed: int) -> Learner:
        config = self.config
        net = built(
            lambda: Classifier(config.widths, config.hidden, config.grid, config.batch_norm),
            determinism.derive(seed, "cnn"),
        )
        return Learner({"net": net})

    def _train(self, learner: Learner, data: Images, ctx: FitContext) -> None:
        config = self.config
        anomalies = Anomalies(data, config.labels, ctx.seed)

        def update(batch: Tensor, step: int) -> Mapping[str, float]:
            images = torch.cat([batch, anomalies.beside(batch, step)]).to(ctx.device)
            wanted = torch.arange(len(images), device=ctx.device) // len(batch)
            logits = learner.nets["net"](normalised(images))
            loss = F.cross_entropy(logits, wanted)
            optimiser = learner.optimisers["net"]
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            right = (logits.argmax(1) == wanted).float().mean()
            return {"train/loss": float(loss.detach()), "train/accuracy": float(right)}

        steps = config.train_steps(len(data))
        adam = Adam(lr=config.lr, weight_decay=config.weight_decay)
        half = config.batch_size // 2
        for losses in learner.train(data, ctx, steps=steps, batch_size=half, adam=adam, update=update):
            ctx.report(learner.step, of=steps, **losses)

    def _judge(self) -> Judge:
        config, net = self.config, cast("Classifier", self._fitted().nets["net"])
        return Judge(net, config.image_size, config.blur_sigma, config.image_score == "probability")

    def _score_microbatch(self, images: Tensor) -> tuple[Tensor, Tensor]:
        judge = self._judge()
        pixels = to_model_size(images, self.config.image_size).to(self._device)
        scores, maps = judge.each_alone(pixels)
        return scores.cpu(), stretched(maps, *images.shape[-2:]).cpu()
