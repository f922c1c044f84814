"""What a detector said of some pictures as one small file, so that two evaluations can be compared later."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from ad_detectors.errors import StateError
from ad_detectors.metrics.bootstrap import Evidence
from ad_detectors.metrics.counts import PixelCounts

NAME = "evidence.npz"
OF_PIXELS = ("pictures", "defective", "normal_pixels", "defective_pixels", "overlap", "regions")


def save(evidence: Evidence, folder: Path) -> None:
    """Write evidence into a folder, compressed: most counts are zero."""
    arrays = {"scores": evidence.scores, "labels": evidence.labels, "names": np.array(evidence.pictures, str)}
    if evidence.pixels is not None:
        arrays |= {f"pixels_{name}": getattr(evidence.pixels, name) for name in OF_PIXELS}
    np.savez_compressed(folder / NAME, allow_pickle=False, **arrays)


def load(folder: Path) -> Evidence:
    """Read evidence back; raise StateError naming the file if it is missing or broken. Unpickles nothing."""
    try:
        with np.load(folder / NAME, allow_pickle=False) as file:
            found = {name: file[name] for name in file.files}
        pixels = None
        if "pixels_regions" in found:
            pixels = PixelCounts(*(found[f"pixels_{name}"] for name in OF_PIXELS))
        return Evidence(found["scores"], found["labels"], pixels, tuple(found["names"].tolist()))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise StateError(f"cannot read {folder / NAME}: {error}; evaluate anew") from error
