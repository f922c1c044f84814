"""Plant a defect into each normal image of a batch, and mark exactly the pixels it changed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from ad_detectors.config import nearest
from ad_detectors.data.defects import patches
from ad_detectors.data.defects.blending import blend
from ad_detectors.data.defects.blobs import perlin
from ad_detectors.data.defects.draft import Draft
from ad_detectors.data.defects.foreground import foreground
from ad_detectors.determinism import derive
from ad_detectors.errors import ConfigError

Pixels: TypeAlias = NDArray[np.uint8]
Floats: TypeAlias = NDArray[np.float32]
Mask: TypeAlias = NDArray[np.bool_]
Planter: TypeAlias = Callable[[Pixels, Mask, np.random.Generator], Draft]

PLANTERS: Mapping[str, Planter] = {
    "perlin": perlin,
    "cutpaste": patches.cutpaste,
    "scar": patches.scar,
    "blend": blend,
}
EVERY_KIND = tuple(PLANTERS)
# What validation plants unless told. A kind more would make its figures others than those of earlier jobs.
KINDS = ("perlin", "cutpaste", "scar")
LEAST_SIDE = 16  # pixels
SEEN_NEARBY = 4.0  # grey levels by which a pixel and its neighbours must change to count as changed
SEEN_ALL_OVER = 10.0  # grey levels by which a defect must change its pixels on average
LEAST_AREA = 3e-4  # of the image
ATTEMPTS = 12


@dataclass(frozen=True)
class Spoiled:
    """Images with a defect each."""

    images: Tensor  # (B, 3, H, W) uint8
    masks: Tensor  # (B, H, W) bool: exactly the pixels that changed, and at least one
    kinds: tuple[str, ...]  # one of EVERY_KIND for each image


def spoil(images: Tensor, seed: int, kinds: Sequence[str] = KINDS) -> Spoiled:
    """Return copies of uint8 images (B, 3, H, W) with a synthetic defect each.

    Which of the kinds an image gets depends on (seed, its own pixels, kinds), and its defect on (seed, its
    own pixels, that kind): not on the batch, to the bit. Grey images stay grey. A defect lies on the object
    where one stands out from a plain border, can be seen, and its mask has no holes: a pixel in the midst
    of it that came out as it was is moved by one level. Raises ConfigError for a kind that does not exist.
    """
    _check(images, kinds)
    before = images.detach().cpu().contiguous().numpy()
    after, masks, chosen = before.copy(), np.zeros((len(before), *before.shape[2:]), np.bool_), []
    for index, image in enumerate(before):
        pixels = hashlib.sha256(image.tobytes()).hexdigest()
        kind = _kind(pixels, seed, kinds)
        grey = bool((image[0] == image[1]).all() and (image[0] == image[2]).all())
        planted = _planted(image[:1] if grey else image, kind, _random(seed, kind, pixels))
        after[index][:, *planted.box] = planted.pixels  # one channel fills all three
        masks[index][planted.box] = planted.region
        chosen.append(kind)
    device = images.device
    return Spoiled(torch.from_numpy(after).to(device), torch.from_numpy(masks).to(device), tuple(chosen))


def kinds_of(images: Tensor, seed: int, kinds: Sequence[str] = KINDS) -> tuple[str, ...]:
    """Return the kind of defect that `spoil` would give each image, without drawing any."""
    pictures = images.detach().cpu().contiguous().numpy()
    return tuple(_kind(hashlib.sha256(each.tobytes()).hexdigest(), seed, kinds) for each in pictures)


def _kind(pixels: str, seed: int, kinds: Sequence[str]) -> str:
    return kinds[int(_random(seed, "kind", pixels).integers(len(kinds)))]


def _planted(image: Pixels, kind: str, random: np.random.Generator) -> Draft:
    """Draw defects until one can be seen; the region returned is its mask."""
    ground = foreground(image)
    for _ in range(ATTEMPTS):
        draft = PLANTERS[kind](image, ground, random)
        before = image[:, *draft.box].astype(np.float32)
        mask = _seen(before, draft)
        if mask.sum() < LEAST_AREA * ground.size:
            continue
        after = _exact(before, draft.pixels, mask)
        if np.abs(after - before)[:, mask].mean() >= SEEN_ALL_OVER:
            return Draft(draft.box, after, mask)
    # Of an image that is flat no piece and no copy differs: the last region is shaded instead.
    before = image[:, *draft.box].astype(np.float32)
    shaded = before + np.where(before < 128, np.float32(30), np.float32(-30))
    return Draft(draft.box, _exact(before, shaded, draft.region), draft.region)


def _seen(before: Floats, draft: Draft) -> Mask:
    """Return the part of a region where the change is more than noise would make."""
    change = np.abs(draft.pixels - before).max(axis=0) * draft.region
    seen: Mask = draft.region & (ndimage.uniform_filter(change, 5) >= SEEN_NEARBY)
    return seen


def _exact(before: Floats, draft: Floats, mask: Mask) -> Floats:
    """Return the draft in whole numbers within the mask, changed everywhere, and what was there outside."""
    after: Floats = np.where(mask, np.clip(np.rint(draft), 0, 255), before)
    same = mask & (after == before).all(axis=0)
    after[:, same] += np.where(after[:, same] < 128, np.float32(1), np.float32(-1))
    return after


def _random(seed: int, *names: str) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(derive(seed, "defect", *names)))


def _check(images: Tensor, kinds: Sequence[str]) -> None:
    if images.dtype != torch.uint8 or images.dim() != 4 or images.shape[1] != 3:
        raise ValueError(f"images are uint8 (B, 3, H, W), not {images.dtype} {tuple(images.shape)}")
    if min(images.shape[2:]) < LEAST_SIDE:
        sides = " x ".join(map(str, images.shape[2:]))
        raise ValueError(f"images of {sides} are too small; a defect needs {LEAST_SIDE} pixels each way")
    if not kinds:
        raise ConfigError(f"name at least one kind of defect: {', '.join(EVERY_KIND)}")
    for kind in kinds:
        if kind not in PLANTERS:
            raise ConfigError(f"no kind of defect named '{kind}'; {nearest(kind, list(EVERY_KIND))}")
