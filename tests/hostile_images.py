"""A folder of files that are named like pictures and are none, or would harm a careless reader."""

import io
import os
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

PNG = b"\x89PNG\r\n\x1a\n"
SPARSE = 1 << 30  # bytes that a file claims to have; none of them is on the disk


@dataclass(frozen=True)
class Hostile:
    """A file, and a pattern of what must be said of it."""

    path: Path
    says: str
    a_mask_too: bool = True  # some are refused as pictures and still say which pixels are marked


def build(folder: Path) -> list[Hostile]:
    """Make every hostile file in a folder of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for name, content, says in _contents():
        (folder / name).write_bytes(content)
        made.append(Hostile(folder / name, says, name not in ("float.tif", "deep.tif")))
    for name, make, says in _SPECIAL:
        make(folder / name)
        made.append(Hostile(folder / name, says))
    return sorted(made, key=lambda hostile: hostile.path.name)


def noise(height: int = 40, width: int = 50) -> Image.Image:
    """Return a picture that does not compress, so that cutting its file always loses pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(pixels)


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    """Return the bytes of a file of this kind."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def chunk(kind: bytes, content: bytes) -> bytes:
    """Return one chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *extra: bytes, rows: bytes = b"") -> bytes:
    """Return a grey PNG whose header says what is asked and whose pixels are what is given."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return PNG + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def tiff(*entries: tuple[int, int, int], next_at: int = 0, pixels: bytes = b"") -> bytes:
    """Return a little-endian TIFF with these (tag, type, value) entries; its pixels lie behind them."""
    entries = tuple(sorted(entries))
    directory = struct.pack("<H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack("<HHII", tag, kind, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", next_at) + pixels


def grey_tiff(width: int, height: int, next_at: int = 0, pixels: bytes = b"", **tags: int) -> bytes:
    """Return an uncompressed grey TIFF."""
    basic = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, tags.pop("compression", 1))]
    layout = [(262, 3, 1), (273, 4, 134), (277, 3, 1), (278, 4, height), (279, 4, width * height % 2**32)]
    return tiff(*basic, *layout, (284, 3, 1), next_at=next_at, pixels=pixels)


def _contents() -> list[tuple[str, bytes, str]]:
    bomb = zlib.compress(bytes(8 << 20), 9)
    whole = {kind: encoded(noise(), kind) for kind in ("PNG", "JPEG", "BMP", "TIFF")}
    cut = [(f"cut.{kind.lower()[:4]}", content[: len(content) // 2], "") for kind, content in whole.items()]
    return [
        *[(name.replace("jpeg", "jpg"), content, says) for name, content, says in cut],
        *[
            (f"cut_to_a_header.{suffix}", whole[kind][:24], "")
            for kind, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("BMP", "bmp"), ("TIFF", "tif"))
        ],
        ("empty.png", b"", "it is empty"),
        ("text.jpg", b"no picture at all", "no JPEG, PNG, BMP or TIFF"),
        ("page.png", b"<!DOCTYPE html><html>404</html>", "web page"),
        ("pointer.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git lfs pull"),
        ("script.png", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "no JPEG, PNG"),
        ("huge.png", png(65_535, 65_535), "65535 x 65535 pixels"),
        ("large.png", png(20_000, 20_000), "20000 x 20000 pixels"),
        ("long.png", png(1, 2**31 - 1), "1 x 2147483647 pixels"),
        ("huge.jpg", _resized_jpeg(whole["JPEG"], 65_500), "65500 x 65500 pixels"),
        ("huge.bmp", _resized_bmp(whole["BMP"], 60_000), "60000 x 60000 pixels"),
        ("huge.tif", grey_tiff(65_535, 65_535), "65535 x 65535 pixels"),
        ("huge_tiles.tif", _huge_tiles(), "tiles of"),
        ("scans.jpg", _many_scans(), "scans, more than"),
        ("text_bomb.png", png(9, 9, chunk(b"zTXt", b"a\0\0" + bomb)), "Decompressed data too large"),
        ("profile_bomb.png", png(9, 9, chunk(b"iCCP", b"a\0\0" + bomb)), "Decompressed data too large"),
        ("looping.tif", grey_tiff(9, 9, next_at=8), ""),  # its directory follows itself; it has no pixels
        ("animated.png", _animated(), "several pictures"),
        ("stack.tif", _stack(), "several pictures"),
        ("moving.gif.png", encoded(noise(), "GIF"), "GIF"),
        ("web.png", encoded(noise(), "WEBP"), "WebP"),
        ("float.tif", encoded(Image.new("F", (4, 4)), "TIFF"), "32-bit float"),
        ("deep.tif", encoded(Image.new("I", (4, 4), 70_000), "TIFF"), "exceed 16 bits"),
    ]


def _sparse(start: bytes) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        path.write_bytes(start)
        os.truncate(path, SPARSE)

    return make


def _no_permission(path: Path) -> None:
    path.write_bytes(encoded(noise(), "PNG"))
    path.chmod(0)


def _heavy_tag() -> bytes:
    """Return a TIFF whose colour profile is nearly the whole file, behind its directory."""
    file = bytearray(grey_tiff(9, 9))
    file[8:10] = struct.pack("<H", 11)
    entry = struct.pack("<HHII", 34675, 7, SPARSE - 4096, 200)
    return bytes(file[:-4]) + entry + bytes(4)


_HEADER = PNG + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
_WITHOUT_END = png(9, 9, rows=bytes(90))[:-12]
_SPECIAL: list[tuple[str, Callable[[Path], object], str]] = [
    ("folder.png", Path.mkdir, "a folder"),
    ("pipe.png", os.mkfifo, "a pipe"),
    ("zeros.png", lambda path: path.symlink_to("/dev/zero"), "a device"),
    ("nowhere.png", lambda path: path.symlink_to("missing"), "no such file"),
    ("itself.png", lambda path: path.symlink_to(path.name), "symbolic links"),
    ("heavy_profile.png", _sparse(_HEADER + struct.pack(">I", SPARSE) + b"iCCP"), "far more than"),
    ("heavy_pixels.png", _sparse(_HEADER + struct.pack(">I", SPARSE) + b"IDAT"), ""),
    (
        "heavy_end.png",
        _sparse(png(9, 9, rows=bytes(90))[:-12] + struct.pack(">I", SPARSE) + b"tEXt"),
        "far more",
    ),
    ("heavy_tag.tif", _sparse(_heavy_tag()), "far more than"),
    ("heavy_segments.jpg", _sparse(b"\xff\xd8" + b"\xff\xe1\xff\xff" + bytes(65_533)), ""),
    *([("forbidden.png", _no_permission, "permission denied")] if os.geteuid() else []),
]


def _many_scans() -> bytes:
    """Return a progressive JPEG that refines the same coefficients over and over."""
    content = encoded(noise(), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + 1000 * content[last:-2] + content[-2:]


def _resized_jpeg(content: bytes, side: int) -> bytes:
    at = content.index(b"\xff\xc0") + 5
    return content[:at] + struct.pack(">HH", side, side) + content[at + 4 :]


def _resized_bmp(content: bytes, side: int) -> bytes:
    return content[:18] + struct.pack("<ii", side, side) + content[26:]


def _huge_tiles() -> bytes:
    tags = [(256, 4, 64), (257, 4, 64), (258, 3, 8), (259, 3, 8), (262, 3, 1), (277, 3, 1)]
    tiles = [(322, 4, 1 << 15), (323, 4, 1 << 15), (324, 4, 200), (325, 4, 4096)]
    return tiff(*tags, *tiles, pixels=bytes(100) + zlib.compress(bytes(4 << 20)))


def _animated() -> bytes:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("black", "white")]
    return encoded(frames[0], "PNG", save_all=True, append_images=frames[1:])


def _stack() -> bytes:
    return encoded(noise(), "TIFF", save_all=True, append_images=[noise()])
