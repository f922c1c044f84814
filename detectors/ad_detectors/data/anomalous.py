"""Anomalous pictures beside normal ones, for detectors that learn from both: labelled, or made up."""

from __future__ import annotations

import torch
from torch import Tensor

from ad_detectors import determinism
from ad_detectors.api import Images
from ad_detectors.data.defects import spoil
from ad_detectors.data.resizing import anomalous_of
from ad_detectors.errors import DataError


class Anomalies:
    """Anomalous pictures by the setting `labels`: "auto", "labelled", "synthetic" or "both"."""

    def __init__(self, data: Images, labels: str, seed: int) -> None:
        """Look for labelled ones where they are wanted; raise DataError where they must be and are not."""
        self._labels, self._seed = labels, seed
        self._labelled = None if labels == "synthetic" else anomalous_of(data)
        if self._labelled is None and labels in ("labelled", "both"):
            raise DataError(
                f"labels = {labels} wants labelled defects, and there are none; put them into "
                "train/<defect>/, or set labels = synthetic"
            )

    def beside(self, normal: Tensor, step: int) -> Tensor:
        """Return as many anomalous pictures as there are normal ones (B, 3, H, W), uint8 on the CPU.

        They follow from the seed, the step and the normal pictures alone; made up ones come first.
        """
        made = {"both": len(normal) // 2, "synthetic": len(normal)}.get(self._labels, 0)
        if self._labelled is None:
            made = len(normal)
        parts: list[Tensor] = []
        if made:
            parts.append(spoil(normal[:made], determinism.derive(self._seed, "defects", step)).images)
        if self._labelled is not None and made < len(normal):
            generator = determinism.generator(self._seed, "labelled", step)
            places = torch.randint(len(self._labelled), (len(normal) - made,), generator=generator)
            parts.append(self._labelled.batch(places.tolist()))
        return torch.cat(parts)
