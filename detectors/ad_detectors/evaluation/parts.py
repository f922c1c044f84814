"""The runs of pictures that an evaluation scores one after the other: test, validation, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ad_detectors.api import Images
from ad_detectors.data.defects import KINDS, kinds_of, spoil
from ad_detectors.data.images import TestImages
from ad_detectors.data.layout import GOOD
from ad_detectors.evaluation.image_result import CALIBRATION, TEST, VALIDATION

LEAST_SIDE = 16  # pixels; smaller pictures have no room for a synthetic defect
SPOILT_BY = (20_290_301, 20_290_302)  # seeds, one for each synthetic defect of a normal picture


class Pictures:
    """Pictures in an order, with what is known of them: normal ones, unless a subclass knows better."""

    def __init__(self, images: Images) -> None:
        self._images = images

    def __len__(self) -> int:
        return len(self._images)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return uint8 pictures (B, 3, H, W)."""
        return self._images.batch(indices)

    def path(self, index: int) -> str:
        """Return where the picture lies, or the normal one it was made of."""
        return self._images.paths[index]

    def defect(self, index: int) -> str:
        """Return "good" or the name of the defect."""
        del index
        return GOOD

    def mask(self, index: int) -> NDArray[np.bool_] | None:  # (H, W)
        """Return which pixels are defective; None if nobody knows."""
        del index
        return np.zeros(self._images.size, np.bool_)


class Labelled(Pictures):
    """The test split."""

    def __init__(self, images: TestImages) -> None:
        super().__init__(images)
        self._test = images

    def defect(self, index: int) -> str:
        """Return what the picture's folder is called."""
        return self._test.defects[index]

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return the mask; None for an anomalous picture without one, or with an empty one.

        A picture that somebody called anomalous has a defect somewhere. To count its pixels as normal because
        nobody drew it, or because it was too small for this size, would punish whoever finds it.
        """
        mask: NDArray[np.bool_] = self._test.masks([index])[0]
        return mask if self._test.defects[index] == GOOD or mask.any() else None


class Spoilt(Pictures):
    """Normal pictures with a synthetic defect each, made when they are asked for."""

    def __init__(self, images: Images, seed: int) -> None:
        super().__init__(images)
        self._seed = seed
        self._made: dict[int, tuple[str, NDArray[np.uint8]]] = {}  # kind, and the mask, a bit per pixel

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return the pictures with their defects."""
        spoilt = spoil(self._images.batch(indices), self._seed, KINDS)
        for index, kind, mask in zip(indices, spoilt.kinds, spoilt.masks.numpy(), strict=True):
            self._made[index] = (kind, np.packbits(mask))
        return spoilt.images

    def defect(self, index: int) -> str:
        """Return the kind of the synthetic defect, which need not have been made for that."""
        if index not in self._made:
            return kinds_of(self._images.batch([index]), self._seed, KINDS)[0]
        return self._made[index][0]

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return which pixels the defect changed."""
        height, width = self._images.size
        if index not in self._made:  # scored before an interruption; it depends on its pixels and seed alone
            self.batch([index])
        bits = np.unpackbits(self._made[index][1], count=height * width)
        return bits.astype(np.bool_).reshape(height, width)


class Mixed(Pictures):
    """Pictures of several runs, in an order of their own."""

    def __init__(self, runs: Sequence[Pictures], order: Sequence[tuple[int, int]]) -> None:
        """Show in each place the picture of a run: its number, and the place there."""
        self._runs, self._order = runs, list(order)

    def __len__(self) -> int:
        return len(self._order)

    def batch(self, indices: Sequence[int]) -> Tensor:
        """Return uint8 pictures (B, 3, H, W)."""
        chosen = [self._order[index] for index in indices]
        found: dict[tuple[int, int], Tensor] = {}
        for run in sorted({run for run, _ in chosen}):
            wanted = [each for each in chosen if each[0] == run]
            pictures = self._runs[run].batch([place for _, place in wanted])
            found |= zip(wanted, pictures, strict=True)
        return torch.stack([found[each] for each in chosen])

    def path(self, index: int) -> str:
        """Return where the picture lies, or the normal one it was made of."""
        run, place = self._order[index]
        return self._runs[run].path(place)

    def defect(self, index: int) -> str:
        """Return "good" or the name of the defect."""
        run, place = self._order[index]
        return self._runs[run].defect(place)

    def mask(self, index: int) -> NDArray[np.bool_] | None:
        """Return which pixels are defective; None if nobody knows."""
        run, place = self._order[index]
        return self._runs[run].mask(place)


@dataclass(frozen=True)
class Part:
    """Pictures of one split that are scored in batches of their own."""

    split: str
    pictures: Pictures


def validated(validation: Images) -> list[Pictures]:
    """Return normal pictures, and those with synthetic defects that are made of them; none of small ones."""
    seeds = SPOILT_BY if min(validation.size) >= LEAST_SIDE else ()
    return [Pictures(validation), *(Spoilt(validation, seed) for seed in seeds)]


def parts_of(test: TestImages | None, validation: Images | None, calibration: Images | None) -> list[Part]:
    """Return what is to be scored, in order. What needs no maps comes last."""
    parts: list[Part] = []
    if test is not None:
        parts.append(Part(TEST, Labelled(test)))
    if validation is not None:
        parts += [Part(VALIDATION, pictures) for pictures in validated(validation)]
    if calibration is not None:
        parts.append(Part(CALIBRATION, Pictures(calibration)))
    return [part for part in parts if len(part.pictures)]
