"""One picture file, decoded within stated limits: what could hurt is refused by its header, before decoding.

A file, on a disk or in memory, is what its content says, whatever its name: JPEG, PNG, BMP or TIFF.
Decoding takes at most 24 bytes of memory per pixel, of at most `MAX_PIXELS` for all threads of a process
together, and 50 MiB for a header.
"""

from __future__ import annotations

import io
import math
import os
import stat
import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from PIL import ExifTags, Image
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile

from ad_detectors.errors import BadPicture

# Where Pillow too starts to suspect a bomb. Cameras of 24 megapixels (6000 x 4000) are far below; detectors
# see far less still, so that a larger picture is better cut into tiles than squeezed.
MAX_PIXELS = 89_478_485
MAX_SIDE = 65_535  # of a JPEG; the tables for resizing grow with the longer side
MAX_HEADER = 16 << 20  # bytes of profiles, comments and tags, before the pixels and again behind them
CRUMB = 256  # bytes that a read counts for at least
MAX_PAGES = 32  # of which all but one are thumbnails: no honest file has more
MAX_SCANS = 200  # of a progressive JPEG, each of which visits every pixel; programs write about ten
DEEPEST = 8  # bytes per pixel on disk: RGBA of 16 bits

KINDS: tuple[tuple[bytes, Callable[[io.BufferedReader], ImageFile]], ...] = (
    (b"\x89PNG\r\n\x1a\n", PngImageFile),
    (b"\xff\xd8\xff", JpegImageFile),
    (b"BM", BmpImageFile),
    *((mark, TiffImageFile) for mark in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"MM*\0", b"II\0*")),
)
# What is found in files that are named like pictures.
OTHERS = (
    (b"version https://git-lfs", "it is a pointer of Git LFS", "fetch the picture: git lfs pull"),
    (b"RIFF", "it holds a WebP picture", "save it as PNG"),
    (b"GIF8", "it holds a GIF picture", "save it as PNG"),
    (b"\0\0\0", "it holds an AVIF, HEIC or JPEG 2000 picture", "save it as PNG"),
    (b"<", "it holds a web page or XML", "download it again"),
)

# What Pillow and its plug-ins raise for files that are cut short, garbled or made to harm. A warning is an
# error only where somebody asked for it (`python -W error`).
UNREADABLE = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    LookupError,
    TypeError,
    AttributeError,
    AssertionError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    BufferError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    Warning,
)
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
NEW_SUBFILE_TYPE, TILE_WIDTH, TILE_LENGTH = 254, 322, 323  # tags of TIFF


@contextmanager
def decoded(source: Path | bytes, name: str | None = None) -> Iterator[Image.Image]:
    """Give the picture of a file, upright and at its own depth, for as long as the block lasts.

    The content of a file may be given instead of its path, with what it is called in messages. Raises
    BadPicture, naming the file, for whatever is wrong with it, in the block too.
    """
    path = name or (source if isinstance(source, Path) else f"of {len(source)} bytes")
    try:
        with _Metered(_raw(source)) as file:
            if isinstance(source, Path) and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadPicture(path, "it is a pipe or a device, not a file", "remove it")
            image = _recognised(file, path)
            width, height = image.size
            _bounded(width, height, path)
            _few_scans(image, file, path)
            with _ROOM.taken(width * height):
                _one_picture(image, path)
                file.allowance = MAX_HEADER + DEEPEST * width * height
                image.load()
                yield _upright(image)
    except UNREADABLE as error:
        raise BadPicture(path, _words(error)) from error


@contextmanager
def opened(image: Image.Image, name: str) -> Iterator[Image.Image]:
    """Give a picture that somebody opened with Pillow as `decoded` gives that of a file; raise BadPicture."""
    try:
        _bounded(*image.size, name)
        # Phones put previews and depths behind a JPEG, which Pillow then calls MPO.
        if getattr(image, "n_frames", 1) > 1 and image.format != "MPO":
            raise BadPicture(name, "it holds several pictures", "give each for itself")
        with _ROOM.taken(image.width * image.height):
            image.load()
            yield _upright(image)
    except UNREADABLE as error:
        raise BadPicture(name, _words(error)) from error


class _TooMuch(OSError):
    """A file is much longer than an honest one would be."""


class _Metered(io.BufferedReader):
    """A file that gives only so many bytes: what Pillow reads is bounded, whatever a file claims."""

    allowance = MAX_HEADER

    def read(self, size: int | None = -1) -> bytes:
        most = self.allowance + 1
        content = super().read(most if size is None or size < 0 else min(size, most))
        # A single byte is not free either: looking for a marker in 16 MiB of junk would take half a minute.
        self.allowance -= max(len(content), CRUMB)
        if self.allowance < 0:
            raise _TooMuch("it holds far more than its pixels need")
        return content

    def count(self, mark: bytes, most: int) -> int:
        """Count two bytes in the first `most` bytes and 16 MiB of the file, keeping the place."""
        place, found, end = self.tell(), 0, b""
        self.seek(0)
        while self.tell() < MAX_HEADER + most and (block := super().read(1 << 20)):
            found += (end + block).count(mark)
            end = block[-1:]
        self.seek(place)
        return found


class _Room:
    """Lets threads decode side by side while their pictures together stay within one limit."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._changed = threading.Condition()

    @contextmanager
    def taken(self, pixels: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= pixels)
            self._free -= pixels
        try:
            yield
        finally:
            with self._changed:
                self._free += pixels
                self._changed.notify_all()


_ROOM = _Room(MAX_PIXELS)


def _raw(source: Path | bytes) -> io.RawIOBase:
    # What lies in memory is read like a file; a BytesIO has all that a buffer asks of a raw file.
    return (
        io.FileIO(source, opener=_open_at_once)
        if isinstance(source, Path)
        else cast(io.RawIOBase, io.BytesIO(source))
    )


def _bounded(width: int, height: int, name: object) -> None:
    """Refuse a picture that is larger than a detector could make use of."""
    if not width * height:
        raise BadPicture(name, f"it has {width} x {height} pixels")
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        limit = f"{MAX_PIXELS / 1e6:.0f} million in all or {MAX_SIDE} on a side"
        reason = f"its header claims {width} x {height} pixels, more than {limit}"
        raise BadPicture(name, reason, "cut it into tiles or make it smaller")


def _open_at_once(path: str, flags: int) -> int:
    # A pipe that nobody writes to would keep us waiting for ever.
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _recognised(file: io.BufferedReader, path: object) -> ImageFile:
    """Read a picture's header; plug-ins are asked by name, so that none of Pillow's others can be reached."""
    start = file.read(32)
    file.seek(0)
    for mark, kind in KINDS:
        if start.startswith(mark):
            return kind(file)
    if not start:
        raise BadPicture(path, "it is empty")
    for mark, reason, advice in OTHERS:
        if start.startswith(mark):
            raise BadPicture(path, reason, advice)
    raise BadPicture(path, "it is no JPEG, PNG, BMP or TIFF picture")


def _few_scans(image: ImageFile, file: _Metered, path: object) -> None:
    """Refuse a JPEG that would take hours: its scans can be empty, and each goes over the whole picture."""
    if isinstance(image, JpegImageFile) and image.info.get("progressive"):
        scans = file.count(b"\xff\xda", DEEPEST * image.width * image.height)
        if scans > MAX_SCANS:
            raise BadPicture(path, f"it has {scans} scans, more than any program writes", "save it anew")


def _one_picture(image: ImageFile, path: object) -> None:
    """Refuse files of several pictures: taking the first one in silence would hide the others."""
    if isinstance(image, TiffImageFile):
        sides = [image.tag_v2.get(tag, 1) for tag in (TILE_WIDTH, TILE_LENGTH)]
        tile = math.prod(side for side in sides if isinstance(side, int))
        if tile > max(4 * image.width * image.height, 1 << 22):
            raise BadPicture(path, f"its header claims tiles of {tile} pixels, more than the picture has")
        several = bool(getattr(image, "is_animated", False)) and _more_pages(image)
    else:
        several = getattr(image, "n_frames", 1) > 1
    if several:
        raise BadPicture(path, "it holds several pictures", "save each in a file of its own")


def _more_pages(image: TiffImageFile) -> bool:
    """Say whether a TIFF has a second picture; a smaller copy or a mask of the first one is none."""
    try:
        for page in range(1, MAX_PAGES):
            image.seek(page)
            if not image.tag_v2.get(NEW_SUBFILE_TYPE, 0) & 0b101:
                return True
    except UNREADABLE:  # the end, or something that is no picture
        return False
    finally:
        image.seek(0)
    return True


def _upright(image: Image.Image) -> Image.Image:
    """Turn a picture as its metadata asks; metadata that cannot be read ask for nothing."""
    try:
        turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except UNREADABLE:
        return image
    return image if turn is None else image.transpose(turn)


def _words(error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return "there is not enough memory to decode it"
    if isinstance(error, IsADirectoryError):
        return "it is a folder"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    if isinstance(error, _TooMuch):
        return str(error)
    return f"it is damaged ({(str(error).splitlines() or [type(error).__name__])[0]})"
