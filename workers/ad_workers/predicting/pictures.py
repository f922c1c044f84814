"""Which picture files a person means, by name, by list or on stdin; loads no torch."""

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import BinaryIO

from ad_detectors.data.layout import image_files, is_image
from ad_detectors.errors import DataError
from ad_platform.errors import InvalidData

SHOWN = 3  # names in a message
STDIN = "-"  # as an image: one picture's bytes on stdin; as a list of names: the names on stdin
SPOOLED = "stdin"  # what the file is called that stdin's picture is kept in
LARGEST = 1 << 30  # bytes of a picture on stdin; no file that can be decoded needs as many
BLOCK = 1 << 20


@dataclass(frozen=True)
class Picture:
    """A picture to score: the file that is read, and what it is called in all that is said of it."""

    file: Path
    name: str

    @classmethod
    def at(cls, file: Path) -> "Picture":
        """Return a picture that is called as its file is."""
        return cls(file, str(file))

    def renamed(self, words: str) -> str:
        """Return what was said of the file as said of the picture."""
        return words if self.name != STDIN else words.replace(str(self.file), "from stdin")


def collect(texts: Sequence[str], listed: Sequence[str] = ()) -> list[Path]:
    """Return the files that are named, each once: files, those directly in folders, and patterns' matches.

    What is `listed` are names as they are, in which no sign is a pattern. A file is taken whatever its name;
    what it holds is found out later. Raises InvalidData for what is not there, a folder without pictures, and
    a pattern that nothing fits.
    """
    found: dict[str, Path] = {}
    missing: list[str] = []
    for text, pattern in (*((each, True) for each in texts), *((each, False) for each in listed)):
        path = Path(text).expanduser() if pattern else Path(text)
        if path.is_dir():
            files = _in_folder(path)
        elif path.exists() or path.is_symlink():
            files = [path]
        elif pattern and glob.has_magic(text):
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


def names_in(source: BinaryIO, where: str, *, null: bool) -> list[str]:
    """Return the names of a list: one a line, or with `null` one before each NUL; raise InvalidData.

    `where` is what the list is called. Empty lines, and what Windows puts at their ends, are passed over.
    """
    content = source.read()
    if not null and b"\0" in content:
        raise InvalidData(f"{where} holds NUL bytes: it is no list of names, or one parted by NUL: --null")
    ends = content.split(b"\0") if null else [line.removesuffix(b"\r") for line in content.split(b"\n")]
    found = [os.fsdecode(end) for end in ends if end]
    if not found:
        raise InvalidData(f"{where} names no pictures; give one name a line")
    return found


def spooled(source: BinaryIO, folder: Path) -> Picture:
    """Keep the picture that comes on stdin in a file; raise InvalidData where it is none, or too large.

    Names on stdin are the mistake that is easily made, so they are told from a picture.
    """
    file, size, start = folder / SPOOLED, 0, b""
    with file.open("wb") as output:
        for block in _blocks(source):
            start = start or block
            size += len(block)
            if size > LARGEST:
                raise InvalidData(f"stdin holds more than {LARGEST >> 20} MiB: no picture is as large")
            output.write(block)
    if not start:
        raise InvalidData("nothing came on stdin: with - as the image, pipe one picture's bytes into it")
    first = start[:4096].split(b"\0")[0].split(b"\n")[0].strip()
    if first and len(first) < 4096 and os.path.exists(os.fsdecode(first)):  # noqa: PTH110 - bytes of anything
        raise InvalidData(
            "stdin holds names, not a picture: `-` is one picture's bytes; a list is read by --files-from -"
        )
    return Picture(file, STDIN)


def _blocks(source: BinaryIO) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        yield block


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
