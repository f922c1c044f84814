"""A detector of a few numbers that learns in short steps and misbehaves as its settings say."""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from ad_detectors.api import Detector, FitContext, Images, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from ad_detectors.api import State


def _allocate_beyond_the_limit() -> None:
    """Ask for a gigabyte where the kernel gives 64 MiB more at most."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    import torch

    resource.setrlimit(resource.RLIMIT_AS, (used + 2**26, resource.RLIM_INFINITY))
    torch.zeros(2**30, dtype=torch.uint8)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings."""

    image_size: Annotated[int, Field(ge=8, le=64)] = 16
    steps: Annotated[int, Field(ge=1)] = 12
    pause: Annotated[float, Field(ge=0.0, description="seconds that a step takes")] = 0.02
    trouble: Literal[
        *("none", "abort", "memory", "raise", "nan", "hang", "offspring", "gate"),
        *("segfault", "exit", "limit", "card"),
        *("scoring gate", "scoring hang", "scoring slowly"),
    ] = "none"
    at: Annotated[int, Field(ge=1, description="the step, or call of score, of the trouble")] = 5
    file: Annotated[str, Field(description="the trouble is over once this file exists")] = ""
    fits: Annotated[int, Field(ge=0, description="pictures that the card of that trouble holds at once")] = 0


class Troublesome(Detector):
    """Distance to the mean of the normal images, plus a number that grows with every step."""

    Config = Config
    divides = True
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.mean: Tensor | None = None
        self.total, self.step, self.calls = 0.0, 0, 0

    def fit(self, data: Images, ctx: FitContext) -> None:
        self.mean = data.batch(range(len(data))).float().mean(0)
        while self.step < self.config.steps:
            step = self.step + 1
            threading.Event().wait(self.config.pause)
            if step == self.config.at and not (self.config.file and Path(self.config.file).exists()):
                self._misbehave(ctx, len(data))
            self.total, self.step = self.total + 1 / step, step
            print(f"pid {os.getpid()} made step {step}", flush=True)
            ctx.report(step, of=self.config.steps, **{"train/loss": 1 / step})

    def _misbehave(self, ctx: FitContext, batch: int) -> None:
        match self.config.trouble:
            case "segfault":
                ctypes.string_at(0)
            case "exit":
                os._exit(3)
            case "limit":
                _allocate_beyond_the_limit()
            case "card":
                held = -(-batch // self.batch_divisor)
                if held > self.config.fits:
                    import torch

                    raise torch.OutOfMemoryError(f"CUDA out of memory. Tried to hold {held} pictures")
            case "abort":
                os.abort()
            case "memory":
                raise MemoryError
            case "raise":
                raise RuntimeError("the detector\nlost its marbles")
            case "nan":
                ctx.report(self.step + 1, of=self.config.steps, **{"train/loss": float("nan")})
            case "hang":
                threading.Event().wait()
            case "offspring":
                with subprocess.Popen(["sleep", "1000"]) as process:
                    process.wait()
            case "gate":
                while not Path(self.config.file).exists():
                    threading.Event().wait(0.05)

    def _dawdle(self) -> None:
        if self.config.trouble == "scoring slowly":
            threading.Event().wait(10 * self.config.pause)
        elif self.config.trouble in ("scoring hang", "scoring gate") and self.calls == self.config.at:
            while self.config.trouble == "scoring hang" or not Path(self.config.file).exists():
                threading.Event().wait(0.05)

    def score(self, images: Tensor) -> Scores:
        assert self.mean is not None
        self.calls += 1
        self._dawdle()
        print(f"pid {os.getpid()} scored {len(images)}", flush=True)
        maps = (images.float() - self.mean).abs().mean(1)
        return Scores(images=maps.amax((1, 2)), maps=maps)

    def state(self) -> State:
        assert self.mean is not None
        return {"fit/mean": self.mean, "fit/total": self.total, "fit/step": self.step}

    def restore(self, state: State) -> None:
        import torch

        mean, total, step = state["fit/mean"], state["fit/total"], state["fit/step"]
        assert isinstance(mean, torch.Tensor)
        assert isinstance(total, float)
        assert isinstance(step, int)
        self.mean, self.total, self.step = mean.to(torch.float32), total, step
