"""Training DDAD's denoiser so that it can stop after any step and go on in another process."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.data.loading import Batches
from ad_detectors.device import mixed_precision, reading_threads
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.training import drawn, loss_at
from ad_detectors.errors import StateError
from ad_detectors.nets import moments as remembering
from ad_detectors.nets.unet import UNet, UNetShape, build_unet, empty_unet
from ad_detectors.pixels import normalised
from ad_detectors.ranks import share
from ad_detectors.zoo.ddad.config import Config

if TYPE_CHECKING:
    from ad_detectors.api import State

NET = "net/"


class Denoiser:
    """The U-Net, and what its training must remember as long as it goes on."""

    def __init__(self, net: UNet, step: int = 0, moments: State | None = None) -> None:
        self.net = net
        self.step = step  # finished optimiser steps
        self.optimiser: torch.optim.Adam | None = None
        self._moments = moments or {}

    def train(
        self,
        config: Config,
        data: Images,
        ctx: FitContext,
        report: Callable[[int, float], None],
        divisor: int = 1,
    ) -> None:
        """Do the remaining steps, reporting each one's number and loss when `state` is whole.

        Gradients are summed over `divisor` parts of each batch, for want of memory: the step is that of the
        whole batch but for rounding, as no layer mixes images, and for the choice of dropout.
        """
        self.net.move(ctx.device)
        self.net.train()
        self._start_optimiser(config)
        process = schedule.linear()
        batches = Batches(
            data,
            batch_size=config.batch_size,
            seed=ctx.seed,
            start=self.step,
            stop=config.train_steps(len(data)),
            workers=reading_threads(ctx.device),
        )
        model = ctx.ranks.parallel(self.net)
        for _, batch in batches:
            loss = self._update(config, model, batch, ctx, process, divisor)
            self.step += 1
            report(self.step, loss)

    def _update(
        self,
        config: Config,
        model: nn.Module,
        batch: Tensor,
        ctx: FitContext,
        process: schedule.Schedule,
        divisor: int,
    ) -> float:
        """Make one optimiser step and return the loss of the whole batch, over all ranks."""
        assert self.optimiser is not None
        ranks = ctx.ranks
        images = normalised(batch.to(ctx.device))
        # Data, noise and dropout depend on (seed, step, rank) alone, so no generator's state need be kept.
        determinism.step_seed(ctx.seed, self.step, ranks.rank)
        noise_device = ctx.device if ctx.device.type == "cuda" else "cpu"
        generator = determinism.generator(ctx.seed, "noise", self.step, device=noise_device)
        t, noise = drawn(images, process, generator, config.noise_levels)
        self.optimiser.zero_grad(set_to_none=True)
        whole = 0.0
        mine = share(ranks, images, t, noise)
        parts = list(zip(*(each.chunk(divisor) for each in mine.tensors), strict=True))
        for number, part in enumerate(parts, 1):
            fraction = mine.fraction * len(part[0]) / len(mine.tensors[0])
            with ranks.apart(model) if number < len(parts) else nullcontext():
                with mixed_precision(ctx.device, ctx.autocast):
                    loss = loss_at(model, part[0], process, *part[1:])
                if fraction < 1.0:  # so that an undivided batch computes what it always has
                    loss = loss * (fraction * ranks.size)  # gradients become the mean over the ranks
                loss.backward()  # type: ignore[no-untyped-call]
            whole += float(loss.detach()) / ranks.size
        self.optimiser.step()
        return ranks.total(whole)

    @property
    def unfinished(self) -> bool:
        """Whether training was begun and can be gone on with."""
        return self.optimiser is not None or bool(self._moments)

    def _start_optimiser(self, config: Config) -> None:
        if self.optimiser is not None:
            return
        parameters = dict(self.net.named_parameters())
        first = next(iter(parameters.values()))
        # Coupled weight decay, as published; AdamW would be another algorithm.
        self.optimiser = torch.optim.Adam(
            parameters.values(),
            lr=config.lr,
            weight_decay=config.weight_decay,
            fused=first.device.type in {"cpu", "cuda"},
        )
        if self.step == 0:
            return
        remembering.give_back(self.optimiser, self.net, self.step, self._moments)
        self._moments = {}

    def finish(self) -> None:
        """Forget the optimiser: what is left is what scoring needs."""
        self.optimiser, self._moments = None, {}
        self.net.eval()

    def state(self) -> State:
        """Return the weights, and what training needs to go on while it is unfinished."""
        copied = remembering.copied
        kept: dict[str, Tensor | int] = {NET + name: copied(t) for name, t in self.net.state_dict().items()}
        if not self.unfinished or self.step == 0:
            return kept
        kept["training/step"] = self.step
        if self.optimiser is not None:
            found = remembering.of(self.optimiser, self.net)
        else:  # restored, and not yet gone on with
            found = {name: copied(t) for name, t in self._moments.items() if isinstance(t, Tensor)}
        return kept | {f"training/{name}": tensor for name, tensor in found.items()}


def fresh(config: Config, seed: int) -> Denoiser:
    """Return an untrained denoiser that depends on the config and the seed alone."""
    return Denoiser(build_unet(shape_of(config), determinism.derive(seed, "denoiser")))


def restored(config: Config, state: State) -> Denoiser:
    """Return the denoiser of a state whose keys have lost their "denoiser/"; raise StateError."""
    net = empty_unet(shape_of(config))
    weights = {
        k.removeprefix(NET): v.clone()
        for k, v in state.items()
        if k.startswith(NET) and isinstance(v, Tensor)
    }
    try:
        net.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:160]
        raise StateError(f"this state is not of a ddad denoiser with this config: {first}") from error
    net.requires_grad_(True).eval()
    step = state.get("training/step", 0)
    if not isinstance(step, int) or isinstance(step, bool):
        raise StateError("denoiser/training/step is no whole number")
    moments = {k.removeprefix("training/"): v for k, v in state.items() if k.startswith("training/")}
    moments.pop("step", None)
    return Denoiser(net, step, moments)


def shape_of(config: Config) -> UNetShape:
    """Return what decides the tensors of this config's U-Net."""
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        heads=config.heads,
        dropout=config.dropout,
    )
