"""A detector that looks at what it was not handed, in as many ways as its settings know."""

from __future__ import annotations

import contextlib
import gc
import hashlib
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from ad_detectors.api import Detector, FitContext, Images, Scores

if TYPE_CHECKING:
    from torch import Tensor

    from ad_detectors.api import State

FIT = ("test folder", "swallowed", "our reader", "decoded", "names", "program", "at once restored")
SCORE = ("masks", "memory", "descriptors")
ORDER = ("calls", "caller")  # nothing is touched that an audit could notice


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings."""

    image_size: Annotated[int, Field(ge=8, le=64)] = 16
    way: Literal[("none", *FIT, *SCORE, *ORDER)] = "none"


class Leaking(Detector):
    """Distance to the mean of the normal images, unless it finds out more."""

    Config = Config
    config: Config

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        self.mean: Tensor | None = None
        self.place, self.known, self.calls = "", "", 0

    def fit(self, data: Images, ctx: FitContext) -> None:
        self.mean = data.batch(range(len(data))).float().mean(0)
        within: Any = data
        while not hasattr(within, "samples"):  # what it was handed wraps what it should not have
            within = within._images if hasattr(within, "_images") else within._data
        self.place = str(within.samples[0].path.parents[2])
        if self.config.way in FIT:
            self._learn(Path(self.place), within)
        ctx.report(1, of=1)

    def _learn(self, category: Path, within: Any) -> None:
        match self.config.way:
            case "test folder":
                files = sorted((category / "test").rglob("*.png"))
                self.known = " ".join(hashlib.sha256(file.read_bytes()).hexdigest() for file in files)
            case "swallowed":
                with contextlib.suppress(Exception):
                    self.known = (category / "test" / "cut" / "0.png").read_bytes().hex()
            case "our reader":
                from ad_detectors.data.layout import open_category

                self.known = " ".join(sample.name for sample in open_category(category).test)
            case "decoded":
                folder = Path(within._pixels.filename).parent
                for file in folder.glob("*-test-*.npy"):
                    import numpy as np

                    self.known = str(np.load(file).sum())
            case "names":
                os.chdir(category.parent)
                self.known = str(list(Path("c/test").iterdir()))
            case "program":
                self.known = subprocess.run(["ls", str(category)], capture_output=True, text=True).stdout

    def score(self, images: Tensor) -> Scores:
        assert self.mean is not None
        maps = (images.float() - self.mean).abs().mean(1)
        self.calls += 1
        match self.config.way:
            case "masks":
                maps = maps + len(list(Path(self.place, "ground_truth").rglob("*.png")))
            case "memory":
                maps = maps + len([each for each in gc.get_objects() if hasattr(each, "has_mask")])
            case "descriptors":
                for link in Path("/proc/self/fd").iterdir():
                    with contextlib.suppress(OSError):
                        if link.readlink().suffix == ".npy":
                            maps = maps + len(link.read_bytes())
            case "calls":  # what comes late is anomalous, where normal images are scored first
                maps = maps + self.calls
            case "caller":
                maps = maps + self._labels(len(images))[:, None, None]
        return Scores(images=maps.amax((1, 2)), maps=maps)

    def _labels(self, count: int) -> Tensor:
        """Look for the labels in the frames below, which raise no event when they are reached like this."""
        import torch

        try:
            raise RuntimeError
        except RuntimeError as error:
            frame: Any = getattr(error.__traceback__, "tb_frame", None)
        while frame is not None:
            found = frame.f_locals
            if "part" in found and "indices" in found:
                defects = [found["part"].pictures.defect(index) for index in found["indices"]]
                return torch.tensor([1000.0 * (defect != "good") for defect in defects])
            frame = frame.f_back
        return torch.zeros(count)

    def state(self) -> State:
        assert self.mean is not None
        return {"fit/mean": self.mean, "fit/place": self.place, "fit/known": self.known}

    def restore(self, state: State) -> None:
        import torch

        mean, place = state["fit/mean"], state["fit/place"]
        assert isinstance(mean, torch.Tensor)
        self.mean, self.place = mean, str(place)
        if self.config.way == "at once restored":
            self.known = Path(self.place, "train", "good", "0.png").read_bytes().hex()
