"""Every file of a category by what it is there for, and what lies around that nobody will read."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ad_detectors.data.findings import Finding, Kind
from ad_detectors.data.layout import GOOD, folders_in, is_image, name_of_normal, no_file
from ad_detectors.errors import DataError

SPLITS = ("train", "test", "ground_truth")
# What people call normal pictures elsewhere: in this layout it would be a kind of defect.
OTHER_NORMALS = frozenset({"good", "ok", "normal", "normals", "no_defect", "nodefect"})
# Pictures and arrays that some other program would read.
FOREIGN = frozenset(
    {".webp", ".gif", ".heic", ".heif", ".avif", ".jp2", ".jxl", ".psd", ".svg", ".ppm", ".pgm", ".pbm"}
    | {".raw", ".dng", ".cr2", ".nef", ".dcm", ".npy", ".npz", ".exr", ".tga"}
)


@dataclass
class Listing:
    """The files of a category."""

    folder: Path
    train: list[Path] = field(default_factory=list)
    anomalous: dict[str, list[Path]] = field(default_factory=dict)  # of train/, by defect
    test: dict[str, list[Path]] = field(default_factory=dict)  # by defect; "good" for normal ones
    masks: dict[str, list[Path]] = field(default_factory=dict)  # likewise
    findings: list[Finding] = field(default_factory=list)

    def note(self, kind: Kind, path: Path | None = None, words: str = "") -> None:
        """Add a finding about a path, or about the category."""
        self.findings.append(Finding(kind, self.name(path) if path else "", words))

    def name(self, path: Path) -> str:
        """Return a path relative to the category's folder."""
        return path.relative_to(self.folder).as_posix()


def listed(folder: Path) -> Listing:
    """List a category, whatever is wrong with it."""
    listing = Listing(folder)
    if not any((folder / split).is_dir() for split in SPLITS):
        listing.train = list(_pictures(listing, folder))
        if not listing.train:
            listing.note(Kind.NO_TRAINING)
        return listing
    normal = name_of_normal(folder)
    _around(listing)
    _train(listing, normal)
    for inner in _classes(listing, "test"):
        if inner.name != normal and inner.name.lower() in OTHER_NORMALS:
            listing.note(Kind.MISNAMED_NORMAL, inner)
        listing.test[GOOD if inner.name == normal else inner.name] = list(_pictures(listing, inner))
    for inner in _classes(listing, "ground_truth"):
        listing.masks[GOOD if inner.name == normal else inner.name] = list(_pictures(listing, inner))
    return listing


def _train(listing: Listing, normal: str) -> None:
    for inner in _classes(listing, "train"):
        if inner.name == normal:
            listing.train = list(_pictures(listing, inner))
        else:
            _anomalous(listing, inner)
    if not listing.train:
        listing.note(Kind.NO_TRAINING)


def _anomalous(listing: Listing, inner: Path) -> None:
    found = list(_pictures(listing, inner))
    if inner.name.lower() in OTHER_NORMALS:
        listing.note(Kind.MISNAMED_NORMAL, inner)
    if found:
        listing.anomalous[inner.name] = found
        listing.note(Kind.LABELLED, inner, f"{len(found)} pictures")


def _classes(listing: Listing, split: str) -> list[Path]:
    """Return the folders of a split; pictures right in it belong to none of them."""
    folder = listing.folder / split
    if not folder.is_dir():
        return []
    try:
        loose = [entry for entry in os.scandir(folder) if is_image(entry.name) and not entry.is_dir()]
        if loose:
            listing.note(Kind.NOT_READ, folder, f"{len(loose)} pictures right in it, in no folder of a kind")
        return folders_in(folder)
    except (OSError, DataError) as error:
        listing.note(Kind.UNREADABLE, folder, str(error))
        return []


def _around(listing: Listing) -> None:
    """Note pictures beside the splits."""
    for path in sorted(listing.folder.iterdir()):
        if path.name.startswith(".") or path.name in SPLITS:
            continue
        if path.is_dir() and _has_pictures(path):
            listing.note(Kind.NOT_READ, path, "a folder beside train, test and ground_truth")
        elif not path.is_dir() and is_image(path.name):
            listing.note(Kind.NOT_READ, path, "beside train, test and ground_truth")


def _pictures(listing: Listing, folder: Path) -> Iterator[Path]:
    """Give the pictures right in a folder, sorted, and note what cannot be one."""
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        listing.note(Kind.UNREADABLE, folder, error.strerror or str(error))
        return
    for entry in entries:
        path = folder / entry.name
        try:
            if entry.name.startswith("."):
                continue
            if entry.is_dir():
                if is_image(entry.name) or _has_pictures(path):
                    listing.note(Kind.NOT_READ, path, "a folder inside a folder of pictures")
            elif not is_image(entry.name):
                if path.suffix.lower() in FOREIGN:
                    listing.note(Kind.FOREIGN, path)
            elif entry.is_file():
                yield path
            else:
                listing.note(Kind.UNREADABLE, path, f"it is {no_file(entry)}")
        except OSError as error:
            listing.note(Kind.UNREADABLE, path, (error.strerror or str(error)).lower())


def _has_pictures(folder: Path) -> bool:
    return any(is_image(name) for _, _, names in os.walk(folder) for name in names)
