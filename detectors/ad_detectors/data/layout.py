"""Where the pictures of a category lie; standard library only, since the light client uses it too.

    <root>/<dataset>/<category>/train/good/*.png
                                train/<defect>/*.png    (for detectors that learn from labels; may be missing)
                                test/good/*.png, test/<defect>/*.png
                                ground_truth/<defect>/<stem>_mask.png   (or <stem>.png, in any format)

This is the layout of MVTec AD and MPDD. BTAD says `ok` where they say `good`. A folder that holds nothing but
pictures is read as normal training pictures without a test split.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace
from pathlib import Path

from ad_detectors.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff"})  # in any case
GOOD = "good"
OK = "ok"  # the same in BTAD
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
    train: list[Sample]  # normal ones alone
    test: list[Sample] = field(default_factory=list)
    anomalous: list[Sample] = field(default_factory=list)  # of train/<defect>: labelled to learn from


def open_category(path: Path | str) -> Category:
    """Find the pictures of a category; raise DataError that names the folder and what it should hold."""
    folder = Path(os.path.abspath(Path(path).expanduser()))  # noqa: PTH100 - resolve() would follow a link
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "does not exist"
        raise DataError(f"{folder} {what}; {EXPECTED}")
    visa = visa_above(folder)
    if visa is not None:
        raise DataError(
            f"{folder} is VisA as published; prepare it first: adctl data prepare visa {visa} OUT"
        )
    normal = name_of_normal(folder)
    train = _train(folder, normal)
    known = Category(folder.parent.name, folder.name, folder, train, _test(folder, normal))
    return replace(known, anomalous=_anomalous(folder, normal))


def name_of_normal(folder: Path) -> str:
    """Return what a category calls its normal pictures: `ok` in BTAD, else `good`."""
    train = folder / "train"
    return OK if (train / OK).is_dir() and not (train / GOOD).is_dir() else GOOD


def visa_above(folder: Path) -> Path | None:
    """Return the root of VisA as it is published, if this is it or one of its categories."""
    if (folder / "split_csv").is_dir():
        return folder
    return folder.parent if (folder / "Data" / "Images" / "Normal").is_dir() else None


def categories_in(folder: Path) -> list[Path]:
    """Return the folders directly below that look like categories, sorted."""
    return [child for child in folders_in(folder) if (child / "train").is_dir()]


def folders_in(folder: Path) -> list[Path]:
    """Return the folders directly below that are not hidden, sorted; raise DataError if it cannot be read."""
    try:
        children = sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"cannot read {folder}: {error.strerror or error}") from error
    return [child for child in children if child.is_dir() and not child.name.startswith(".")]


def image_files(folder: Path) -> list[Path]:
    """Return the pictures directly in a folder, sorted by name; raise DataError if it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            found = [entry for entry in entries if is_image(entry.name) and not entry.is_dir()]
        for entry in found:
            # Left out in silence, such a picture would be missed by nobody.
            if not entry.is_file():
                raise DataError(f"{entry.path} is {no_file(entry)}; remove it")
    except OSError as error:
        raise DataError(f"cannot read {error.filename or folder}: {error.strerror or error}") from error
    return [folder / name for name in sorted(entry.name for entry in found)]


def no_file(entry: os.DirEntry[str]) -> str:
    """Say what something is that is neither a file nor a folder."""
    nowhere = not os.path.exists(entry.path)  # noqa: PTH110 - an entry has no Path
    return "a link that leads nowhere" if nowhere else "a pipe or a device, not a file"


def is_image(name: str) -> bool:
    """Say whether a file's name is a picture's; hidden files (macOS leaves `._x.png`) are not."""
    return not name.startswith(".") and os.path.splitext(name)[1].lower() in SUFFIXES  # noqa: PTH122


def _train(folder: Path, normal: str) -> list[Sample]:
    good = folder / "train" / normal
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


def _anomalous(folder: Path, normal: str) -> list[Sample]:
    if not (folder / "train" / normal).is_dir():
        return []
    kinds = [inner for inner in folders_in(folder / "train") if inner.name != normal]
    samples = [
        Sample(file, file.relative_to(folder).as_posix(), inner.name)
        for inner in kinds
        for file in image_files(inner)
    ]
    return sorted(samples, key=lambda sample: sample.name)


def _test(folder: Path, normal: str) -> list[Sample]:
    if not (folder / "test").is_dir():
        return []
    samples: list[Sample] = []
    for inner in folders_in(folder / "test"):
        defect = GOOD if inner.name == normal else inner.name
        files = image_files(inner)
        # Normal pictures have no mask, whatever lies there.
        masks = {} if defect == GOOD else masks_of(files, folder / "ground_truth" / inner.name)
        samples += [
            Sample(file, file.relative_to(folder).as_posix(), defect, masks.get(file)) for file in files
        ]
    return sorted(samples, key=lambda sample: sample.name)


def masks_of(pictures: list[Path], folder: Path) -> dict[Path, Path]:
    """Return the mask of each picture that has one; raise DataError where it is not clear which."""
    found: dict[str, Path] = {}
    for file in image_files(folder) if folder.is_dir() else []:
        if file.stem in found:
            raise DataError(f"{found[file.stem]} and {file.name} are masks of one picture; remove one")
        found[file.stem] = file
    masks: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for picture in pictures:
        mask = found.get(f"{picture.stem}_mask") or found.get(picture.stem)
        if mask is None:
            continue
        if mask in taken:
            raise DataError(f"{taken[mask]} and {picture.name} share the mask {mask}; rename one of them")
        masks[picture] = mask
        taken[mask] = picture
    return masks


def _categories_hint(folder: Path) -> str:
    """Help somebody who named a dataset where one of its categories was wanted."""
    inside = categories_in(folder)
    return (
        f"; it looks like a dataset: name one of its categories, such as {inside[0].name}" if inside else ""
    )
