"""Looks at every file of a category and says all that is wrong with it, not only the first."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np

from ad_detectors.cpus import usable
from ad_detectors.data.decoding import as_rgb, not_black
from ad_detectors.data.findings import Defect, Kind, Report, Severity
from ad_detectors.data.layout import EXPECTED, GOOD, categories_in, visa_above
from ad_detectors.data.listing import Listing, listed
from ad_detectors.data.opening import decoded
from ad_detectors.errors import BadPicture, DataError

FEW = 10  # training pictures from which little can be learnt
NEARLY_ALL = 0.9  # of its pixels: such a mask is more likely inverted than right
SHADES = 16  # grey levels that a mask may have: classes of defects, not the noise of JPEG
LABELLED = "train/"  # what the pictures of train/<defect> count as; no kind of defect can be called so
PROPORTION = 0.02  # by which width to height may differ: rounding when something was made smaller


@dataclass(frozen=True)
class _Seen:
    """What is kept of a file after it was decoded."""

    size: tuple[int, int]  # width, height
    mode: str
    digest: bytes = b""  # of a picture's pixels
    blank: bool = False
    marked: float = 0.0  # share of a mask's pixels
    shades: int = 0  # of a mask, black aside


Seen: TypeAlias = dict[Path, _Seen]


def check(folder: Path, threads: int | None = None) -> list[Report]:
    """Check a category, or every category of a dataset; raise DataError if there is nothing to check."""
    folder = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100 - resolve() would follow a link
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; {EXPECTED}")
    visa = visa_above(folder)
    if visa is not None:
        advice = f"prepare it first: adctl data prepare visa {visa} OUT"
        raise DataError(f"{folder} is VisA as published; {advice}")
    inside = [] if (folder / "train").exists() else categories_in(folder)
    # Pillow warns of oddities on stderr, once per place in its code; what matters is among the findings.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_checked(category, threads) for category in inside or [folder]]


def _checked(folder: Path, threads: int | None) -> Report:
    listing = listed(folder)
    others = (*listing.anomalous.values(), *listing.test.values())
    pictures = [*listing.train, *(file for files in others for file in files)]
    masks = [file for files in listing.masks.values() for file in files]
    with ThreadPoolExecutor(threads or min(8, usable())) as pool:
        seen = _look(listing, pool, pictures, _picture)
        drawn = _look(listing, pool, masks, _mask)
    masked = _pair(listing, seen, drawn)
    _splits(listing)
    _copies(listing, seen)
    _looks(listing, seen)
    order = list(Severity)
    findings = sorted(
        dict.fromkeys(listing.findings),
        key=lambda each: (order.index(each.severity), list(Kind).index(each.kind), each.path),
    )
    test = tuple(
        Defect(name, len(files), len(masked.get(name, ()))) for name, files in sorted(listing.test.items())
    )
    return Report(folder.parent.name, folder.name, str(folder), len(listing.train), test, tuple(findings))


def _look(
    listing: Listing, pool: ThreadPoolExecutor, paths: Sequence[Path], at: Callable[[Path], _Seen]
) -> Seen:
    """Decode files side by side, within the memory that decoding keeps to, and note those that cannot be."""

    def one(path: Path) -> _Seen | BadPicture:
        try:
            return at(path)
        except BadPicture as error:
            return error

    seen: Seen = {}
    for path, found in zip(paths, pool.map(one, paths), strict=True):
        if isinstance(found, BadPicture):
            usual = found.advice == Kind.UNREADABLE.advice
            listing.note(Kind.UNREADABLE, path, found.reason if usual else f"{found.reason}; {found.advice}")
        else:
            seen[path] = found
    return seen


def _picture(path: Path) -> _Seen:
    with decoded(path) as image:
        rgb = as_rgb(image, path)
        digest = repr(rgb.size).encode() + hashlib.blake2b(rgb.tobytes(), digest_size=16).digest()
        return _Seen(image.size, image.mode, digest, blank=rgb.getcolors(1) is not None)


def _mask(path: Path) -> _Seen:
    with decoded(path) as image:
        marked = not_black(image)
        greys = np.unique(np.asarray(image)) if image.mode in ("L", "I;16", "I") else np.zeros(1)
        return _Seen(image.size, image.mode, marked=float(marked.mean()), shades=int((greys > 0).sum()))


def _pair(listing: Listing, seen: Seen, drawn: Seen) -> dict[str, list[Path]]:
    """Return the pictures of each defect that have a mask; note every mask and picture left alone."""
    masked: dict[str, list[Path]] = {}
    for defect, masks in listing.masks.items():
        if defect == GOOD:
            for mask in masks:
                if mask in drawn and drawn[mask].marked:
                    listing.note(Kind.MASK_OF_NORMAL, mask)
            continue
        owners = _owners(listing, listing.test.get(defect, []), masks)
        masked[defect] = list(owners.values())
        for mask, picture in owners.items():
            if mask in drawn:
                _compare(listing, mask, drawn[mask], seen.get(picture))
    if not any(masked.values()):
        if set(listing.test) - {GOOD}:
            listing.note(Kind.NO_MASKS)
        return masked
    for defect, pictures in listing.test.items():
        for picture in pictures:
            if defect != GOOD and picture not in masked.get(defect, []):
                listing.note(Kind.PICTURE_WITHOUT_MASK, picture)
    return masked


def _owners(listing: Listing, pictures: Sequence[Path], masks: Sequence[Path]) -> dict[Path, Path]:
    """Return the picture of each mask, by the rule of the layout."""
    stems: dict[str, Path] = {}
    for mask in masks:
        if mask.stem in stems:
            listing.note(Kind.TWO_MASKS, mask, f"as {stems[mask.stem].name}")
        else:
            stems[mask.stem] = mask
    owners: dict[Path, Path] = {}
    for picture in pictures:
        fitting = [stems.pop(stem) for stem in (f"{picture.stem}_mask", picture.stem) if stem in stems]
        if fitting:
            owners[fitting[0]] = picture
        elif other := next((one for one in owners.values() if one.stem == picture.stem), None):
            listing.note(Kind.SHARED_MASK, picture, f"that of {other.name}")
        for unused in fitting[1:]:
            listing.note(Kind.TWO_MASKS, unused, f"as {fitting[0].name}")
    for mask in stems.values():
        near = next((one.name for one in pictures if mask.stem.startswith(one.stem)), "")
        listing.note(Kind.MASK_WITHOUT_PICTURE, mask, f"perhaps of {near}" if near else "")
    return owners


def _compare(listing: Listing, mask: Path, drawn: _Seen, picture: _Seen | None) -> None:
    if not drawn.marked:
        listing.note(Kind.EMPTY_MASK, mask)
    elif drawn.marked > NEARLY_ALL:
        listing.note(Kind.FULL_MASK, mask, f"{drawn.marked:.0%}")
    if drawn.shades > SHADES:
        listing.note(Kind.GREY_MASK, mask, f"{drawn.shades} of them")
    if picture is None or picture.size == drawn.size:
        return
    sizes = f"{_by(drawn.size)}, its picture {_by(picture.size)}"
    there, here = picture.size[0] / picture.size[1], drawn.size[0] / drawn.size[1]
    alike = abs(there / here - 1) <= PROPORTION
    listing.note(Kind.MASK_SIZE if alike else Kind.MASK_SHAPE, mask, sizes)


def _splits(listing: Listing) -> None:
    if 0 < len(listing.train) < FEW:
        listing.note(Kind.FEW_TRAINING, words=str(len(listing.train)))
    if not any(listing.test.values()):
        listing.note(Kind.NO_TEST)
    elif not listing.test.get(GOOD):
        listing.note(Kind.NO_NORMAL_TEST)
    elif not any(files for defect, files in listing.test.items() if defect != GOOD):
        listing.note(Kind.NO_ANOMALOUS_TEST)


def _copies(listing: Listing, seen: Seen) -> None:
    """Note pictures that are the same pixel by pixel, in whatever format they are."""
    groups: dict[bytes, list[tuple[str, Path]]] = {}
    splits = (("train", listing.train), *sorted(listing.test.items()))
    labelled = ((LABELLED, files) for files in listing.anomalous.values())
    for split, files in (*splits, *labelled):
        for file in files:
            if file in seen:
                groups.setdefault(seen[file].digest, []).append((split, file))
    for group in groups.values():
        _labelled_copies(listing, group)
        train, normal, anomalous = (
            [file for split, file in group if kind(split)]
            for kind in (
                lambda s: s == "train",
                lambda s: s == GOOD,
                lambda s: s not in ("train", LABELLED, GOOD),
            )
        )
        for file in anomalous if train or normal else []:
            listing.note(Kind.BOTH_LABELS, file, f"normal as {listing.name((train + normal)[0])}")
        for file in normal if train else []:
            listing.note(Kind.LEAKED, file, f"as {listing.name(train[0])}")
        for alike in (train, [] if train else normal, [] if train or normal else anomalous):
            for file in alike[1:]:
                listing.note(Kind.REPEATED, file, f"{listing.name(alike[0])}")


def _labelled_copies(listing: Listing, group: Sequence[tuple[str, Path]]) -> None:
    """Note pictures of train/<defect> that are also somewhere else."""
    labelled = [file for split, file in group if split == LABELLED]
    normal = [file for split, file in group if split in ("train", GOOD)]
    test = [file for split, file in group if split not in ("train", LABELLED, GOOD)]
    for file in labelled:
        if normal:
            listing.note(Kind.BOTH_LABELS, file, f"normal as {listing.name(normal[0])}")
    for file in test if labelled else []:
        listing.note(Kind.LEAKED, file, f"as {listing.name(labelled[0])}")
    for file in labelled[1:]:
        listing.note(Kind.REPEATED, file, f"{listing.name(labelled[0])}")


def _looks(listing: Listing, seen: Seen) -> None:
    """Note what the pictures look like as a whole."""
    for file, each in seen.items():
        if each.blank:
            listing.note(Kind.BLANK, file)
    sizes = Counter(each.size for each in seen.values())
    if len(sizes) > 1:
        small, large = min(sizes, key=math.prod), max(sizes, key=math.prod)
        listing.note(Kind.SIZES, words=f"{len(sizes)}, from {_by(small)} to {_by(large)}")
    modes = Counter(each.mode for each in seen.values())
    if len(modes) > 1:
        listing.note(Kind.DEPTHS, words=", ".join(f"{mode} {count}" for mode, count in modes.most_common()))


def _by(size: tuple[int, int]) -> str:
    return f"{size[0]}x{size[1]}"
