"""Sources of small detectors that tests put where the registry looks."""

ONE_FILE = '''"""A detector in one file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ad_detectors.api import Detector, FitContext, Images, Scores

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Config:
    """Settings."""

    image_size: Annotated[int, Field(ge=8, le=512, description="Side in pixels.")] = 16
    gain: Annotated[float, Field(gt=0, le=10)] = 1.0


PRESETS = {"tiny": {"image_size": 8}}


class Mean(Detector):
    """Distance to the mean of the normal images."""

    Config = Config

    def fit(self, data: Images, ctx: FitContext) -> None:
        pixels = data.batch(range(len(data))).float()
        self.mean = pixels.mean(0)
        ctx.report(1, of=1)

    def score(self, images: Tensor) -> Scores:
        maps = (images.float() - self.mean).abs().mean(1) * self.config.gain
        return Scores(images=maps.amax((1, 2)), maps=maps)

    def state(self):
        return {"fit/mean": self.mean}

    def restore(self, state):
        self.mean = state["fit/mean"]
'''

# To be completed by .format(version of the second stage).
TWO_STAGES = """
from ad_detectors.api import Stage
STAGES = (Stage("a", ("image_size",)), Stage("b", ("gain",), {}))
"""

# A preset that was published for three categories.
PUBLISHED = """
from ad_detectors.config import Published
PUBLISHED = {
    "paper": Published(
        source="Table 9 of a paper",
        base={"image_size": 32},
        categories={"Screw": {"gain": 3}, "metal_nut": {"gain": 4.0, "image_size": 64}, "carpet": {}},
    )
}
"""

# A stage that depends on one more field when gain is 2.
MOVING_STAGES = """
from ad_detectors.api import Stage
STAGES = (Stage("a", ("image_size",)), Stage("b", ("gain",)))
STAGES_WHEN = (("gain == 2", (Stage("a", ("image_size", "gain")), Stage("b", ("gain",)))),)
"""
