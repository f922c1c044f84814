"""A tiny detector with two stages that learns step by step, to try what surrounds detectors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from ad_detectors.api import Detector, FitContext, Images, Scores, Stage
from ad_detectors.errors import StateError
from ad_detectors.exporting.module import Formula

if TYPE_CHECKING:
    from ad_detectors.api import State


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings."""

    image_size: Annotated[int, Field(ge=8, le=512)] = 16
    steps: Annotated[int, Field(ge=1)] = 6
    gain: Annotated[float, Field(gt=0)] = 1.0


STAGES = (Stage("mean", ("image_size", "steps")), Stage("score", ("gain",)))
PRESETS = {"tiny": {"steps": 5}}
NO_EXPORT = ""


class GradualMean(Detector):
    """Distance to a running mean with momentum, in units of its largest distance on normal images."""

    Config = Config
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.values: dict[str, Tensor | int | float | str | bool] = {}

    def fit(self, data: Images, ctx: FitContext) -> None:
        steps = self.config.steps
        if ctx.begin("mean"):
            self._learn(data, ctx)
            ctx.end("mean")
        if ctx.begin("score"):
            if "score/largest" not in self.values:  # else: stopped at the very last report
                self.values["score/largest"] = float(self._distance(data.batch(range(len(data)))).max())
                ctx.report(steps + 1, of=steps + 1)
            ctx.end("score")

    def _learn(self, data: Images, ctx: FitContext) -> None:
        height, width = data.size
        mean = self.values.get("mean/pixels", torch.zeros(3, height, width))
        momentum = self.values.get("mean/training/momentum", torch.zeros(3, height, width))
        done = self.values.get("mean/training/step", 0)
        assert isinstance(mean, Tensor)
        assert isinstance(momentum, Tensor)
        assert isinstance(done, int)
        for step in range(done + 1, self.config.steps + 1):
            random = torch.Generator().manual_seed(ctx.seed * 1000 + step)
            chosen = data.batch(torch.randint(len(data), (4,), generator=random).tolist()).float().mean(0)
            momentum = 0.5 * momentum + (chosen - mean)
            mean = mean + 0.5 * momentum
            self.values = {
                "mean/pixels": mean,
                "mean/training/momentum": momentum,
                "mean/training/step": step,
            }
            loss = float((chosen - mean).square().mean())
            ctx.report(step, of=self.config.steps + 1, **{"train/loss": loss})
        self.values = {"mean/pixels": mean}

    def _distance(self, images: Tensor) -> Tensor:
        mean = self.values["mean/pixels"]
        assert isinstance(mean, Tensor)
        resized = torch.nn.functional.interpolate(images.float(), size=mean.shape[1:], mode="bilinear")
        return (resized - mean).abs().mean(1)

    def score(self, images: Tensor) -> Scores:
        largest = self._largest()
        if len(images) == 0:
            raise ValueError("there are no images in this batch")
        # Normal pictures that are all the same have no largest distance to speak of.
        maps = self._distance(images) / max(largest, 1e-3) * self.config.gain
        maps = torch.nn.functional.interpolate(maps[:, None], size=images.shape[2:], mode="bilinear")[:, 0]
        return Scores(maps.amax((1, 2)), maps)

    def _largest(self) -> float:
        largest = self.values.get("score/largest")
        if not isinstance(largest, float):
            raise StateError("gradual mean has not been fitted; fit it first")
        return largest

    def export_module(self) -> nn.Module:
        scale = self.config.gain / max(self._largest(), 1e-3)
        mean = self.values["mean/pixels"]
        assert isinstance(mean, Tensor)
        return Formula(partial(self._compared, scale), mean=mean)

    def _compared(self, scale: float, images: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        maps = (images - mean).abs().mean(1) * scale
        return maps.amax((1, 2)), maps

    def state(self) -> State:
        return dict(self.values)

    def restore(self, state: State) -> None:
        for key in state:
            if key.partition("/")[0] not in ("mean", "score"):
                raise StateError(f"gradual mean knows no '{key}'")
        self.values |= state
