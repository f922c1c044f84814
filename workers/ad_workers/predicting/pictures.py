"""Which picture files a person means, and what is written for each of them; loads no torch."""

import glob
import os
import unicodedata
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

from ad_detectors.data.layout import image_files, is_image
from ad_detectors.errors import DataError
from ad_platform.errors import InvalidData

SHOWN = 3  # names in a message


def collect(texts: Sequence[str]) -> list[Path]:
    """Return the files that are named, each once: files, those directly in folders, and patterns' matches.

    A file is taken whatever its name; what it holds is found out later. Raises InvalidData for what is not
    there, a folder without pictures, and a pattern that nothing fits.
    """
    found: dict[str, Path] = {}
    missing: list[str] = []
    for text in texts:
        path = Path(text).expanduser()
        if path.is_dir():
            files = _in_folder(path)
        elif path.exists() or path.is_symlink():
            files = [path]
        elif glob.has_magic(text):
            files = _matches(text)
        else:
            missing.append(text)
            continue
        for file in files:
            found.setdefault(os.path.abspath(file), file)  # noqa: PTH100 - resolve() would follow a link
    if missing:
        raise InvalidData(_missing(missing))
    if not found:
        raise InvalidData("name pictures to score: files, folders or patterns")
    return list(found.values())


def places(files: Sequence[Path]) -> list[Path]:
    """Return what each file's overlay is called: a relative path, and no two the same in any case.

    Below the deepest folder that holds all files, so that a/1.png and b/1.png stay apart; where 1.jpg lies
    beside 1.png the suffix is kept.
    """
    whole = [Path(os.path.abspath(file)) for file in files]  # noqa: PTH100
    top = os.path.commonpath([file.parent for file in whole]) if whole else ""
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


def _in_folder(folder: Path) -> list[Path]:
    try:
        files = image_files(folder)
        deeper = [] if files else [child.name for child in sorted(folder.iterdir()) if child.is_dir()]
    except DataError as error:
        raise InvalidData(str(error)) from error
    except OSError as error:
        raise InvalidData(f"cannot read {folder}: {error.strerror or error}") from error
    if files:
        return files
    below = next(
        (name for name in deeper if any(is_image(one.name) for one in (folder / name).glob("*"))), ""
    )
    hint = f"; those in its folders are taken with: '{folder}/**/*'" if below else ""
    raise InvalidData(f"{folder} holds no pictures itself{hint}")


def _matches(pattern: str) -> list[Path]:
    matches = [Path(match) for match in sorted(glob.glob(os.path.expanduser(pattern), recursive=True))]  # noqa: PTH111, PTH207
    files = [match for match in matches if is_image(match.name) and not match.is_dir()]
    if not files:
        what = "no pictures among what fits" if matches else "nothing fits"
        raise InvalidData(f"there is {what} '{pattern}'" if matches else f"{what} the pattern '{pattern}'")
    return files


def _missing(texts: Sequence[str]) -> str:
    named = ", ".join(texts[:SHOWN]) + (f" and {len(texts) - SHOWN} more" if len(texts) > SHOWN else "")
    path = Path(texts[0]).expanduser()
    try:
        beside = [child.name for child in path.parent.iterdir()]
    except OSError:
        return f"there is no file or folder {named}"
    near = get_close_matches(path.name, beside, n=1)
    return f"there is no file or folder {named}" + (
        f"; did you mean {path.parent / near[0]}?" if near else ""
    )


def _folded(path: Path) -> str:
    """Return a name as a file system sees it that tells neither cases nor ways of writing accents apart."""
    return unicodedata.normalize("NFC", path.as_posix()).casefold()
