"""Where the pictures of a category lie; standard library only, since the light client uses it too.

    <root>/<dataset>/<category>/train/good/*.png
                                test/good/*.png, test/<defect>/*.png
                                ground_truth/<defect>/<stem>_mask.png   (or the picture's own file name)

A folder that holds nothing but pictures is read as normal training pictures without a test split.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ad_detectors.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})  # in any case
GOOD = "good"
EXPECTED = "expected train/good/ with normal pictures, and test/good/, test/<defect>/ to evaluate on"


@dataclass(frozen=True)
class Sample:
    """One picture of a category."""

    path: Path
    name: str  # relative to the category's folder, with forward slashes
    defect: str = GOOD
    mask: Path | None = None  # which pixels are defective, if somebody has drawn them

    @property
    def label(self) -> int:
        """Return 1 for an anomalous picture and 0 for a normal one."""
        return int(self.defect != GOOD)


@dataclass(frozen=True)
class Category:
    """The pictures of one kind of object, all of one dataset."""

    dataset: str
    category: str
    path: Path
    train: list[Sample]
    test: list[Sample] = field(default_factory=list)


def open_category(path: Path | str) -> Category:
    """Find the pictures of a category; raise DataError that names the folder and what it should hold."""
    folder = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow a link
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; {EXPECTED}")
    train = _train(folder)
    return Category(folder.parent.name, folder.name, folder, train, _test(folder))


def image_files(folder: Path) -> list[Path]:
    """Return the pictures directly in a folder, sorted by name; raise DataError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            found = [entry.name for entry in entries if is_image(entry.name) and entry.is_file()]
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error
    return [folder / name for name in sorted(found)]


def is_image(name: str) -> bool:
    """Say whether a file's name is a picture's; hidden files (macOS leaves `._x.png`) are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _train(folder: Path) -> list[Sample]:
    good = folder / "train" / GOOD
    if good.is_dir():
        files = image_files(good)
        if not files:
            raise DataError(f"{good} holds no pictures ({', '.join(sorted(SUFFIXES))}); {EXPECTED}")
    elif (folder / "train").exists() or (folder / "test").exists():
        raise DataError(f"{folder} has no train/good/; {EXPECTED}")
    else:
        files = image_files(folder)
        if not files:
            raise DataError(f"{folder} holds no pictures; {EXPECTED}{_categories_hint(folder)}")
    return [Sample(file, file.relative_to(folder).as_posix()) for file in files]


def _test(folder: Path) -> list[Sample]:
    if not (folder / "test").is_dir():
        return []
    samples: list[Sample] = []
    for defect in _folders(folder / "test"):
        masks = _masks(folder / "ground_truth" / defect.name)
        samples += [
            Sample(file, file.relative_to(folder).as_posix(), defect.name, _mask_of(file, masks))
            for file in image_files(defect)
        ]
    return sorted(samples, key=lambda sample: sample.name)


def _masks(folder: Path) -> dict[str, Path]:
    """Return the masks of one defect by file name without its suffix; normal pictures have none."""
    if folder.name == GOOD or not folder.is_dir():
        return {}
    return {file.stem: file for file in image_files(folder)}


def _mask_of(picture: Path, masks: dict[str, Path]) -> Path | None:
    return masks.get(f"{picture.stem}_mask") or masks.get(picture.stem)


def _categories_hint(folder: Path) -> str:
    """Help somebody who named a dataset where one of its categories was wanted."""
    inside = [child.name for child in _folders(folder) if (child / "train").is_dir()]
    return f"; it looks like a dataset: name one of its categories, such as {inside[0]}" if inside else ""


def _folders(folder: Path) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error
    return (child for child in children if child.is_dir() and not child.name.startswith("."))
