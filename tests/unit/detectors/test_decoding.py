"""Whatever a file's format, mode, depth or orientation, a detector sees what a viewer shows."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import hostile_images as hostile
from ad_detectors.data import decoding, opening
from ad_detectors.errors import DataError


def ramp(height: int = 6, width: int = 8) -> np.ndarray:
    return np.arange(height * width * 3, dtype=np.uint8).reshape(height, width, 3)


def put(path: Path, array: np.ndarray, **options: object) -> Path:
    Image.fromarray(array).save(path, **options)
    return path


def test_a_detector_sees_what_a_viewer_shows(tmp_path: Path) -> None:
    grey = np.array([[0, 100], [200, 255]], np.uint8)
    rgb = np.stack([grey] * 3)
    Image.fromarray(grey).convert("P").save(tmp_path / "palette.png")
    put(tmp_path / "grey.png", grey)
    put(tmp_path / "grey.BMP", grey)
    put(tmp_path / "deep.png", grey.astype(np.uint16) * 257)
    put(tmp_path / "deep.tif", grey.astype(np.uint16) * 257)
    put(tmp_path / "wide.TIFF", grey.astype(np.int32) * 257)
    put(tmp_path / "with_alpha.png", np.stack([grey, np.full_like(grey, 255)], axis=2))
    put(tmp_path / "bit.bmp", grey > 150)
    for name in (
        "palette.png",
        "grey.png",
        "grey.BMP",
        "deep.png",
        "deep.tif",
        "wide.TIFF",
        "with_alpha.png",
    ):
        assert np.array_equal(decoding.picture(tmp_path / name, None), rgb), name
    assert np.array_equal(decoding.picture(tmp_path / "bit.bmp", None), (rgb > 150) * np.uint8(255))


@pytest.mark.parametrize("depth", [1, 255, 257, 65535])
def test_16_bits_are_rounded_to_the_nearest_of_8(tmp_path: Path, depth: int) -> None:
    deep = (np.arange(600).reshape(300, 2) * depth % 65536).astype(np.uint16)
    expected = np.rint(deep / 257).astype(np.uint8)
    assert np.array_equal(decoding.picture(put(tmp_path / "a.png", deep), None)[0], expected)


def test_16_bit_colour_is_right_to_a_grey_level(tmp_path: Path) -> None:
    deep = np.random.default_rng(0).integers(0, 65536, (5, 7, 3)).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    header = hostile.chunk(b"IHDR", b"\0\0\0\7\0\0\0\5\x10\2\0\0\0")
    pixels = hostile.chunk(b"IDAT", zlib.compress(rows))
    (tmp_path / "a.png").write_bytes(hostile.PNG + header + pixels + hostile.chunk(b"IEND", b""))
    decoded = decoding.picture(tmp_path / "a.png", None).transpose(1, 2, 0)
    assert np.abs(decoded - deep / 257).max() <= 1


def test_what_is_fully_transparent_is_white_whatever_colour_hides_below(tmp_path: Path) -> None:
    hidden = np.full((2, 2, 4), 77, np.uint8)
    hidden[..., 3] = [[255, 0], [0, 255]]
    decoded = decoding.picture(put(tmp_path / "a.png", hidden), None)
    assert decoded[0].tolist() == [[77, 255], [255, 77]]


@pytest.mark.parametrize("mode", ["P", "L", "RGB"])
def test_a_colour_that_stands_for_transparent_is_white(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(np.array([[10, 200]], np.uint8)).convert(mode)
    first = image.getpixel((0, 0))
    image.save(tmp_path / "a.png", transparency=first)
    assert decoding.picture(tmp_path / "a.png", None)[:, 0].T.tolist() == [[255] * 3, [200] * 3]


@pytest.mark.parametrize("name", ["inverted.jpg", "plain.tif"])
def test_print_colours_look_as_on_paper_whether_stored_inverted_or_not(tmp_path: Path, name: str) -> None:
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / name)
    if name == "inverted.jpg":
        assert b"Adobe" in (tmp_path / name).read_bytes()
    red = decoding.picture(tmp_path / name, None)[:, 8, 8].astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 3


def test_luma_and_chroma_become_colours(tmp_path: Path) -> None:
    Image.fromarray(ramp()).convert("YCbCr").save(tmp_path / "a.tif")
    assert (
        np.abs(decoding.picture(tmp_path / "a.tif", None).transpose(1, 2, 0) - ramp().astype(int)).max() <= 2
    )


UPRIGHT = {  # value of the tag -> how to turn what is stored
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: stored.transpose(1, 0, 2)[:, ::-1],
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: stored.transpose(1, 0, 2)[::-1],
}


@pytest.mark.parametrize("tag", UPRIGHT)
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "grey.tif", "packed.tif"])
def test_orientation_in_the_metadata_is_applied(tmp_path: Path, tag: int, name: str) -> None:
    stored = np.kron(np.array([[0, 90, 180], [220, 140, 40]], np.uint8), np.ones((16, 16), np.uint8))
    if name != "grey.tif":  # which Pillow would map into memory, sideways
        stored = np.stack([stored] * 3, axis=2)
    exif = Image.Exif()
    exif[0x0112] = tag
    options = {"compression": "tiff_lzw"} if name == "packed.tif" else {}
    put(tmp_path / name, stored, exif=exif, **options)
    expected = UPRIGHT[tag](stored.reshape(32, 48, -1)).astype(int)
    decoded = decoding.picture(tmp_path / name, None).transpose(1, 2, 0)
    assert decoded.shape[:2] == expected.shape[:2]
    assert np.abs(decoded - expected).max() <= (8 if name == "a.jpg" else 0)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_metadata_that_are_junk_do_not_spoil_a_picture(tmp_path: Path) -> None:
    put(tmp_path / "a.png", ramp(), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\x09junk")
    put(tmp_path / "b.png", ramp(), exif=b"junk")
    for name in ("a.png", "b.png"):
        assert np.array_equal(decoding.picture(tmp_path / name, None).transpose(1, 2, 0), ramp())


def test_a_file_is_what_it_holds_whatever_its_name(tmp_path: Path) -> None:
    Image.fromarray(ramp()).save(tmp_path / "really.png", "BMP")
    assert np.array_equal(decoding.picture(tmp_path / "really.png", None).transpose(1, 2, 0), ramp())


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_a_single_pixel_is_a_picture(tmp_path: Path, suffix: str) -> None:
    path = put(tmp_path / f"a.{suffix}", np.full((1, 1, 3), 9, np.uint8))
    assert decoding.picture(path, 4).tolist() == np.full((3, 4, 4), 9).tolist()
    assert decoding.mask(path, 4).all()


def test_a_picture_with_a_thumbnail_is_one_picture_and_a_stack_is_none(tmp_path: Path) -> None:
    small = Image.fromarray(ramp()).resize((2, 2))
    for name, kind in (("thumbnail.tif", 1), ("stack.tif", 0)):
        small.encoderinfo = {"tiffinfo": {254: kind}}
        Image.fromarray(ramp()).save(tmp_path / name, save_all=True, append_images=[small])
    decoded = decoding.picture(tmp_path / "thumbnail.tif", None)
    assert np.array_equal(decoded.transpose(1, 2, 0), ramp())
    with pytest.raises(DataError, match=r"stack\.tif: it holds several pictures"):
        decoding.picture(tmp_path / "stack.tif", None)


def test_the_picture_of_a_large_camera_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (6000, 4000), 1).save(tmp_path / "a.png")
    assert (decoding.picture(tmp_path / "a.png", 8) == 255).all()
    assert opening.MAX_PIXELS > 6000 * 4000


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA", "LA", "I;16", "1", "F", "CMYK"])
def test_any_pixel_of_a_mask_that_is_not_black_is_defective(tmp_path: Path, mode: str) -> None:
    drawn = np.zeros((4, 4), np.uint8)
    drawn[0] = 255
    deep = {"I;16": np.uint16, "F": np.float32}.get(mode)
    image = Image.fromarray(drawn.astype(deep)) if deep else Image.fromarray(drawn).convert(mode)
    image.save(tmp_path / "m.tif" if mode != "P" else tmp_path / "m.png")
    (path,) = tmp_path.iterdir()
    assert np.array_equal(decoding.mask(path, 4), drawn > 0)


@pytest.mark.parametrize("colour", [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
def test_a_mask_in_the_darkest_of_colours_is_not_black(tmp_path: Path, colour: tuple[int, int, int]) -> None:
    drawn = np.zeros((2, 2, 3), np.uint8)
    drawn[0, 0] = colour
    assert decoding.mask(put(tmp_path / "m.png", drawn), 2).tolist() == [[True, False], [False, False]]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, *colour])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png", transparency=bytes([0, 255]))
    assert decoding.mask(tmp_path / "p.png", 2)[0].tolist() == [False, True]
