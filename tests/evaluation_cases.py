"""Splits of made-up pictures to evaluate on, for the tests of evaluations."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from ad_detectors.data.images import TestImages
from ad_detectors.data.layout import Sample
from ad_detectors.fitting import run_fit
from ad_detectors.testing import MemoryImages, WatchedContext, pictures, with_defect
from gradual_mean import Config, GradualMean

SIZE = 16


def fitted() -> GradualMean:
    """Return a detector that has learnt from a few normal pictures."""
    made = GradualMean(Config())
    run_fit(made, MemoryImages(pictures(8, SIZE)), WatchedContext(made))
    return made


def split(drawn: bool = True, normal: int = 5, defects: Mapping[str, int] | None = None) -> TestImages:
    """Return a test split with so many pictures of each defect; by default four called "cut"."""
    kinds = [kind for kind, count in (defects or {"cut": 4}).items() for _ in range(count)]
    clean = pictures(normal, SIZE, seed=2)
    spoilt = with_defect(pictures(len(kinds), SIZE, seed=3)) if kinds else clean[:0]
    pixels = torch.cat([spoilt, clean]).numpy()
    masks = np.zeros((len(kinds) + normal, SIZE, SIZE), np.bool_)
    masks[: len(kinds)] = (with_defect(clean[:1]) != clean[:1]).any(1)[0].numpy() if drawn else False
    mask = Path("m.png") if drawn else None
    samples = [Sample(Path(f"c{i}.png"), f"test/{kind}/{i}.png", kind, mask) for i, kind in enumerate(kinds)]
    samples += [Sample(Path(f"g{i}.png"), f"test/good/{i}.png") for i in range(normal)]
    return TestImages(samples, pixels, masks)


def held_out(count: int, seed: int = 7) -> MemoryImages:
    """Return normal pictures that were kept out of training."""
    return MemoryImages(pictures(count, SIZE, seed=seed))
