"""Training DDAD's denoiser so that it can stop after any step and go on in another process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import FitContext, Images
from ad_detectors.diffusion import schedule
from ad_detectors.diffusion.training import denoising_loss
from ad_detectors.errors import StateError
from ad_detectors.nets.unet import UNet, UNetShape, build_unet, empty_unet
from ad_detectors.zoo.ddad.config import Config

if TYPE_CHECKING:
    from ad_detectors.api import State

NET = "net/"
MOMENTS = ("exp_avg", "exp_avg_sq")  # what Adam remembers of each parameter


class Denoiser:
    """The U-Net, and what its training must remember as long as it goes on."""

    def __init__(self, net: UNet, step: int = 0, moments: State | None = None) -> None:
        self.net = net
        self.step = step  # finished optimiser steps
        self.optimiser: torch.optim.Adam | None = None
        self._moments = moments or {}

    def train(
        self, config: Config, data: Images, ctx: FitContext, report: Callable[[int, float], None]
    ) -> None:
        """Do the remaining steps, reporting each one's number and loss when `state` is whole."""
        self.net.to(ctx.device).train()
        if ctx.device.type == "cuda":
            self.net.to(memory_format=torch.channels_last)
        self._start_optimiser(config)
        process = schedule.linear()
        while self.step < config.steps:
            loss = self._update(config, data, ctx, process)
            self.step += 1
            report(self.step, loss)

    def _update(self, config: Config, data: Images, ctx: FitContext, process: schedule.Schedule) -> float:
        assert self.optimiser is not None
        indices = determinism.step_indices(ctx.seed, self.step, config.batch_size, len(data))
        images = normalised(data.batch(indices).to(ctx.device))
        # Data, noise and dropout depend on (seed, step) alone, so no generator's state need be kept.
        determinism.step_seed(ctx.seed, self.step)
        noise_device = ctx.device if ctx.device.type == "cuda" else "cpu"
        generator = determinism.generator(ctx.seed, "noise", self.step, device=noise_device)
        with torch.autocast(ctx.device.type, torch.bfloat16, ctx.autocast and ctx.device.type == "cuda"):
            loss = denoising_loss(self.net, images, process, generator)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimiser.step()
        return float(loss.detach())

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
        for name, parameter in parameters.items():
            remembered = {kind: self._moment(kind, name, parameter) for kind in MOMENTS}
            step = torch.tensor(float(self.step), device=parameter.device)
            self.optimiser.state[parameter] = {"step": step, **remembered}
        self._moments = {}

    def _moment(self, kind: str, name: str, parameter: Tensor) -> Tensor:
        value = self._moments.get(f"{kind}/{name}")
        if not isinstance(value, Tensor) or value.shape != parameter.shape:
            raise StateError(f"this state is of step {self.step} but lacks denoiser/training/{kind}/{name}")
        return torch.empty_like(parameter).copy_(value).detach()

    def finish(self) -> None:
        """Forget the optimiser: what is left is what scoring needs."""
        self.optimiser, self._moments = None, {}
        self.net.eval()

    def state(self) -> State:
        """Return the weights, and what training needs to go on while it is unfinished."""
        kept: dict[str, Tensor | int] = {NET + name: _copy(t) for name, t in self.net.state_dict().items()}
        if self.optimiser is not None and self.step > 0:
            kept["training/step"] = self.step
            for name, parameter in self.net.named_parameters():
                for kind in MOMENTS:
                    kept[f"training/{kind}/{name}"] = _copy(self.optimiser.state[parameter][kind])
        elif self.step > 0 and self._moments:  # restored, and not yet gone on with
            kept["training/step"] = self.step
            kept |= {
                f"training/{name}": _copy(t) for name, t in self._moments.items() if isinstance(t, Tensor)
            }
        return kept


def fresh(config: Config, seed: int) -> Denoiser:
    """Return an untrained denoiser that depends on the config and the seed alone."""
    return Denoiser(build_unet(_shape(config), determinism.derive(seed, "denoiser")))


def restored(config: Config, state: State) -> Denoiser:
    """Return the denoiser of a state whose keys have lost their "denoiser/"; raise StateError."""
    net = empty_unet(_shape(config))
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


def normalised(images: Tensor) -> Tensor:
    """Return uint8 images as float32 in -1..1."""
    return images.float() / 127.5 - 1.0


def _shape(config: Config) -> UNetShape:
    return UNetShape(
        image_size=config.image_size,
        base_channels=config.base_channels,
        heads=config.heads,
        dropout=config.dropout,
    )


def _copy(tensor: Tensor) -> Tensor:
    """Copy to the CPU, so that a state stays what it was while training goes on."""
    return tensor.detach().to("cpu", copy=True).contiguous()
