"""The scores so far: they grow batch by batch, and are a State in between."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ad_detectors.api import Scores
from ad_detectors.errors import NotFinite, StateError
from ad_detectors.metrics.spool import Spool

if TYPE_CHECKING:
    from ad_detectors.api import State

MEMORY = 1 << 30  # bytes of maps held in memory; further ones go to a file


class PartialEvaluation:
    """What a detector said of the pictures scored so far, from the first on."""

    def __init__(self, folder: Path | None = None) -> None:
        """Put maps that are too many for memory into a file in `folder`, or where temporary files go."""
        self.of = ""  # what is evaluated; a state of something else is not gone on with
        self.scores: list[float] = []
        self.seconds: list[float] = []  # per picture, of each batch but the first of a process
        self.maxima: list[float] = []  # of each picture's map; none of a detector without maps
        self._maps: list[NDArray[np.float32]] = []  # (H, W), of the first pictures
        self._spool = Spool(MEMORY, folder)

    @property
    def done(self) -> int:
        """Return how many pictures were scored."""
        return len(self.scores)

    @property
    def ms_per_image(self) -> float | None:
        """Return the median time to score a picture; None if there was but one batch."""
        return 1000 * median(self.seconds) if self.seconds else None

    def add(self, scores: Scores, names: Sequence[str], with_maps: bool = True) -> None:
        """Append the scores of the next pictures; raise NotFinite or StateError naming the picture.

        Without `with_maps` the highest value of each map is kept, and the map is not.
        """
        values = scores.images.detach().float().cpu().tolist()
        if len(values) != len(names):
            raise StateError(f"the detector gave {len(values)} scores for {len(names)} pictures")
        for name, value in zip(names, values, strict=True):
            if not np.isfinite(value):
                raise NotFinite(f"the score of {name} is {value}")
        if scores.maps is not None:
            maps = _checked(scores.maps, names)
            if with_maps:
                self._maps.extend(self._spool.keep(maps))
            self.maxima += maps.max(axis=(1, 2)).tolist()
        self.scores += values

    def map(self, index: int) -> NDArray[np.float32] | None:  # (H, W)
        """Return the anomaly map of a picture, or None if the detector makes none."""
        return self._maps[index] if index < len(self._maps) else None

    def state(self) -> State:
        """Return the scores so far as tensors, to be saved like any state."""
        state: dict[str, Tensor | str] = {
            "evaluation/of": self.of,
            "evaluation/scores": torch.tensor(self.scores, dtype=torch.float32),
            "evaluation/maxima": torch.tensor(self.maxima, dtype=torch.float32),
            "evaluation/seconds": torch.tensor(self.seconds, dtype=torch.float64),
        }
        if self._maps:
            state["evaluation/maps"] = torch.from_numpy(np.stack(self._maps))
        return state

    @classmethod
    def restore(cls, state: State, folder: Path | None = None) -> PartialEvaluation:
        """Go on from what `state` returned; raise StateError if it is something else."""
        of, scores = state.get("evaluation/of"), state.get("evaluation/scores")
        seconds, maps = state.get("evaluation/seconds"), state.get("evaluation/maps")
        if not (isinstance(of, str) and isinstance(scores, Tensor) and isinstance(seconds, Tensor)):
            raise StateError("this state is not that of an evaluation")
        maxima = state.get("evaluation/maxima")
        if not isinstance(maxima, Tensor) or len(maxima) not in (0, len(scores)):
            raise StateError("this evaluation was begun by an older version; submit it again")
        partial = cls(folder)
        partial.of, partial.scores, partial.seconds = of, scores.tolist(), seconds.tolist()
        partial.maxima = maxima.tolist()
        if isinstance(maps, Tensor):
            partial._maps.extend(partial._spool.keep(maps.numpy()))
        return partial


def _checked(tensor: Tensor, names: Sequence[str]) -> NDArray[np.float32]:  # (B, H, W)
    """Return maps as an array, one for each picture and finite."""
    maps: NDArray[np.float32] = tensor.detach().float().cpu().numpy()
    if len(maps) != len(names):
        raise StateError(f"the detector gave {len(maps)} maps for {len(names)} pictures")
    for name, values in zip(names, maps, strict=True):
        if not np.isfinite(values).all():
            raise NotFinite(f"the map of {name} holds what is infinite or not a number")
    return maps
