"""What is drawn of one picture and its map: a heat map, a mask, and the map's own numbers."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ad_detectors.data import decoding
from ad_detectors.report.overlay import overlay, save_png, write_png
from ad_workers.predicting.places import Places
from ad_workers.predicting.wording import in_our_words

LONGEST = 1024  # pixels of an overlay's longer side
BAND = 256  # rows of a mask at a time: a map stretched to a large picture takes four bytes a pixel

# Gives a name to write to, and puts what was written there in place of the target.
Placing = Callable[[Path], AbstractContextManager[Path]]


def draw(
    file: Path, anomaly_map: NDArray[np.float32], threshold: float | None, places: Places, placing: Placing
) -> None:
    """Write what is wanted of a picture whose map, (H, W), has this threshold; raise InvalidData, DiskFull.

    Without a threshold the map's own highest value anchors the colours, so that nothing is red, and there is
    no mask. A mask is as large as the picture, an overlay in its proportions; the numbers are the map's own.
    """
    if places.map is not None:
        with placing(places.map) as begun, begun.open("wb") as output:
            np.save(output, anomaly_map, allow_pickle=False)
    masked = places.mask if threshold is not None else None
    if places.overlay is None and masked is None:
        return
    shown, (width, height) = _shown(file)
    if places.overlay is not None:
        anchor = float(anomaly_map.max()) if threshold is None else threshold
        painted = overlay(shown, _at(anomaly_map, shown.shape[1], shown.shape[0]), anchor)
        with placing(places.overlay) as begun, in_our_words():
            write_png(begun, painted)
    if masked is not None and threshold is not None:
        with placing(masked) as begun, in_our_words():
            save_png(begun, mask(anomaly_map, threshold, width, height))


def mask(anomaly_map: NDArray[np.float32], threshold: float, width: int, height: int) -> Image.Image:
    """Return a grey picture of this size: 255 where the stretched map exceeds a threshold, 0 elsewhere."""
    source, highest = Image.fromarray(anomaly_map), anomaly_map.max()
    rows, columns = anomaly_map.shape
    found = Image.new("L", (width, height))
    for top in range(0, height, BAND):
        bottom = min(height, top + BAND)
        box = (0, top * rows / height, columns, bottom * rows / height)
        band = source.resize((width, bottom - top), Image.Resampling.BILINEAR, box=box)
        # No value may leave the map's range: by a rounding, a good part could be marked.
        above = np.minimum(np.asarray(band), highest) > threshold
        found.paste(Image.fromarray(above.astype(np.uint8) * 255), (0, top))
    return found


def _shown(file: Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:  # (H, W, 3), and its own width, height
    """Decode a picture in its own proportions, no larger than an overlay is."""
    with in_our_words():
        pixels = decoding.picture(file, None).transpose(1, 2, 0)
    image = Image.fromarray(np.ascontiguousarray(pixels))
    size = image.size
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.BILINEAR)
    return np.asarray(image), size


def _at(anomaly_map: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:  # (height, width)
    """Stretch a map; no value may leave its range, or a good part could show red by a rounding."""
    stretched = Image.fromarray(anomaly_map).resize((width, height), Image.Resampling.BILINEAR)
    within: NDArray[np.float32] = np.clip(np.asarray(stretched), anomaly_map.min(), anomaly_map.max())
    return within
