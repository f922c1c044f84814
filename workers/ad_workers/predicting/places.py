"""What is drawn of pictures, and what each of these files is called; loads no torch."""

import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Makes:
    """Which files are made of each picture."""

    overlays: bool = True  # heat maps on the picture, in colours
    masks: bool = False  # white where the map exceeds its threshold
    maps: bool = False  # the map's own numbers

    @property
    def any(self) -> bool:
        """Whether there are any."""
        return self.overlays or self.masks or self.maps


@dataclass(frozen=True, kw_only=True)
class Places:
    """Where the files of one picture go, below the folder of all; None for what is not made."""

    overlay: Path | None = None
    mask: Path | None = None
    map: Path | None = None

    @property
    def all(self) -> list[Path]:
        """Return those that are made."""
        return [place for place in (self.overlay, self.mask, self.map) if place is not None]


def of_each(files: Sequence[Path], makes: Makes) -> list[Places]:
    """Return where the files of each picture go: relative paths, and no two the same in any case."""
    overlays = places(files)
    taken = {_folded(place) for place in overlays}
    found: list[Places] = []
    for overlay in overlays:
        mask = _beside(overlay, ".mask.png", taken) if makes.masks else None
        numbers = _beside(overlay, ".map.npy", taken) if makes.maps else None
        found.append(Places(overlay=overlay if makes.overlays else None, mask=mask, map=numbers))
    return found


def by_name(name: str, makes: Makes) -> Places:
    """Return where the files of a picture go that lies in a folder of its own kind, by its name alone.

    So they are called the same whatever other pictures come.
    """
    return Places(
        overlay=Path(f"{name}.png") if makes.overlays else None,
        mask=Path(f"{name}.mask.png") if makes.masks else None,
        map=Path(f"{name}.map.npy") if makes.maps else None,
    )


def no_masks(why: str) -> str:
    """Say why there can be no masks, and what to do."""
    return f"--masks needs a threshold, but {why}; or give --threshold T"


def places(files: Sequence[Path]) -> list[Path]:
    """Return what each file's overlay is called: a relative path, and no two the same in any case.

    Below the deepest folder that holds all files, so that a/1.png and b/1.png stay apart; where 1.jpg lies
    beside 1.png the suffix is kept.
    """
    whole = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100
    top = common_folder(whole)
    short = [file.relative_to(top) for file in whole]
    usual = [path.with_suffix(".png") for path in short]
    wanted = Counter(_folded(path) for path in usual)
    taken: set[str] = set()
    found: list[Path] = []
    for path, plain in zip(short, usual, strict=True):
        kept = plain if wanted[_folded(plain)] == 1 else path.with_name(f"{path.name}.png")
        number = 1
        while _folded(kept) in taken or (kept != plain and wanted[_folded(kept)]):
            number += 1
            kept = path.with_name(f"{path.name}-{number}.png")
        taken.add(_folded(kept))
        found.append(kept)
    return found


def common_folder(files: Sequence[Path]) -> Path:
    """Return the deepest folder that holds all of these absolute paths."""
    folders = {os.path.dirname(file) for file in files}  # noqa: PTH120 - a Path each takes seconds for many
    return Path(os.path.commonpath(folders)) if folders else Path()


def _beside(overlay: Path, suffix: str, taken: set[str]) -> Path:
    """Return a name beside an overlay's that nobody has, and take it."""
    place, number = overlay.with_name(overlay.stem + suffix), 1
    while _folded(place) in taken:
        number += 1
        place = overlay.with_name(f"{overlay.stem}-{number}{suffix}")
    taken.add(_folded(place))
    return place


def _folded(path: Path) -> str:
    """Return a name as a file system sees it that tells neither cases nor ways of writing accents apart."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
