"""Training a denoiser so that it can stop after any step and go on in another process, to the bit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import torch
from torch import Tensor, nn

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.data.loading import Batches
from ad_detectors.device import mixed_precision, reading_threads
from ad_detectors.diffusion.training import PredictGiven
from ad_detectors.errors import StateError
from ad_detectors.nets import moments as remembering
from ad_detectors.nets.replay import replayed
from ad_detectors.nets.unet import UNet, UNetShape, build_unet, empty_unet
from ad_detectors.pixels import normalised

if TYPE_CHECKING:
    from ad_detectors.api import State

NET, EMA, TRAINING = "net/", "training/ema/", "training/"


class Task(Protocol):
    """What a denoiser is trained on."""

    def drawn(self, images: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return what is drawn for images (B, C, H, W) in -1..1: tensors of B rows, of the step alone.

        Where the batches of the data are not uint8, they are no pictures, and come as they are.
        """

    def losses(self, predict: PredictGiven, images: Tensor, *drawn: Tensor) -> Tensor:
        """Return the loss of each image (B,), given what was drawn for it."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a denoiser's weights are found."""

    steps: int
    batch_size: int
    lr: float
    weight_decay: float = 0.0  # decoupled: AdamW (Loshchilov and Hutter 2019, arXiv 1711.05101)
    clip: float | None = None  # of the norm of all gradients together
    ema: float | None = None  # share of the mean weights that stays at each step; they are kept in the end
    anneal: bool = False  # the learning rate falls in a line, to zero after the last step


class Learner:
    """A network, and what its training must remember as long as it goes on."""

    def __init__(
        self, net: UNet, step: int = 0, moments: State | None = None, mean: State | None = None
    ) -> None:
        self.net = net
        self.step = step  # finished optimiser steps
        self.optimiser: torch.optim.AdamW | None = None
        self._moments = moments or {}
        self._mean: dict[str, Tensor] = {k: v for k, v in (mean or {}).items() if isinstance(v, Tensor)}

    @property
    def unfinished(self) -> bool:
        """Whether training was begun and can be gone on with."""
        return self.optimiser is not None or bool(self._moments)

    def train(
        self,
        recipe: Recipe,
        task: Task,
        data: Images,
        ctx: FitContext,
        report: Callable[[int, float], None],
        divisor: int = 1,
    ) -> None:
        """Do the remaining steps, reporting each one's number and loss when `state` is whole.

        Gradients are summed over `divisor` parts of each batch, for want of memory: the step is that of the
        whole batch but for rounding, and for the choice of dropout.
        """
        self.net.move(ctx.device)
        self.net.train()
        self._start(recipe)
        batches = Batches(
            data,
            batch_size=recipe.batch_size,
            seed=ctx.seed,
            start=self.step,
            stop=recipe.steps,
            workers=reading_threads(ctx.device),
        )
        for _, batch in batches:
            given = batch.to(ctx.device)
            given = normalised(given) if given.dtype == torch.uint8 else given
            loss = self._update(recipe, task, given, ctx, divisor)
            self.step += 1
            report(self.step, loss)

    def _update(self, recipe: Recipe, task: Task, images: Tensor, ctx: FitContext, divisor: int) -> float:
        assert self.optimiser is not None
        # Data, noise and dropout depend on (seed, step) alone, so no generator's state need be kept.
        determinism.step_seed(ctx.seed, self.step)
        if recipe.anneal:
            for group in self.optimiser.param_groups:
                group["lr"] = recipe.lr * (1.0 - self.step / recipe.steps)
        everything = images, *(each.to(ctx.device) for each in task.drawn(images, self.step))
        self.optimiser.zero_grad(set_to_none=True)
        whole = 0.0
        for part in zip(*(each.chunk(divisor) for each in everything), strict=True):
            with mixed_precision(ctx.device, ctx.autocast):
                loss = task.losses(self.net, *part).sum() / len(images)
            loss.backward()  # type: ignore[no-untyped-call]
            whole += float(loss.detach())
        if recipe.clip is not None:
            nn.utils.clip_grad_norm_(self.net.parameters(), recipe.clip)
        self.optimiser.step()
        if recipe.ema is not None:
            with torch.no_grad():
                torch._foreach_lerp_(list(self._mean.values()), list(self.net.parameters()), 1.0 - recipe.ema)
        return whole

    def _start(self, recipe: Recipe) -> None:
        if self.optimiser is not None:
            return
        parameters = dict(self.net.named_parameters())
        first = next(iter(parameters.values()))
        self.optimiser = torch.optim.AdamW(
            parameters.values(),
            lr=recipe.lr,
            weight_decay=recipe.weight_decay,
            fused=first.device.type in {"cpu", "cuda"},
        )
        if recipe.ema is not None:
            known = (
                self._mean if self.step > 0 else {name: each.detach() for name, each in parameters.items()}
            )
            if known.keys() != parameters.keys():
                raise StateError(
                    f"this state is of step {self.step} but lacks the mean of the weights so far"
                )
            self._mean = {
                name: torch.empty_like(each).copy_(known[name]) for name, each in parameters.items()
            }
            self._mean = {name: each.detach() for name, each in self._mean.items()}
        if self.step > 0:
            remembering.give_back(self.optimiser, self.net, self.step, self._moments)
            self._moments = {}

    def finish(self) -> None:
        """Keep the mean weights if there are some, and forget what only training needs."""
        if self._mean:
            self.net.load_state_dict(self._mean)
        self.optimiser, self._moments, self._mean = None, {}, {}
        self.net.eval()

    def state(self) -> State:
        """Return the weights, and what training needs to go on while it is unfinished."""
        copied = remembering.copied
        kept: dict[str, Tensor | int] = {NET + name: copied(t) for name, t in self.net.state_dict().items()}
        if not self.unfinished or self.step == 0:
            return kept
        kept |= {EMA + name: copied(tensor) for name, tensor in self._mean.items()}
        kept["training/step"] = self.step
        if self.optimiser is not None:
            found = remembering.of(self.optimiser, self.net)
        else:  # restored, and not yet gone on with
            found = {name: copied(t) for name, t in self._moments.items() if isinstance(t, Tensor)}
        return kept | {TRAINING + name: tensor for name, tensor in found.items()}


def fresh(shape: UNetShape, seed: int) -> Learner:
    """Return an untrained network that depends on its shape and the seed alone."""
    return Learner(build_unet(shape, determinism.derive(seed, "denoiser")))


def restored(shape: UNetShape, state: State, whose: str) -> Learner:
    """Return the learner of a state whose keys have lost their stage; raise StateError that names `whose`."""
    net = empty_unet(shape)
    try:
        net.load_state_dict({k: v.clone() for k, v in _below(state, NET).items()}, assign=True)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:160]
        raise StateError(f"this state is not of {whose} with this config: {first}") from error
    net.requires_grad_(True).eval()
    step = state.get("training/step", 0)
    if not isinstance(step, int) or isinstance(step, bool):
        raise StateError(f"training/step of {whose} is no whole number")
    moments = {name: t for name, t in _below(state, TRAINING).items() if not name.startswith("ema/")}
    return Learner(net, step, moments, {name: each.clone() for name, each in _below(state, EMA).items()})


def predictor(net: UNet, device: torch.device, mixed: bool, *, on_cpu: bool = False) -> PredictGiven:
    """Return a network in eval mode as a function, in mixed precision where that is wanted."""
    net.eval()

    def predict(x: Tensor, t: Tensor, *given: Tensor) -> Tensor:
        with mixed_precision(device, mixed, on_cpu=on_cpu):
            return net(x, t, *given).float()  # type: ignore[no-any-return]

    return replayed(net, predict, mixed) if device.type == "cuda" else predict


def _below(state: State, prefix: str) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value
        for key, value in state.items()
        if key.startswith(prefix) and isinstance(value, Tensor)
    }
