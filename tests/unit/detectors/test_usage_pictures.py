"""A picture gives the same pixels however it is handed over, or one line that says what is wrong with it."""

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from PIL import ExifTags, Image

import hostile_images as hostile
from ad_detectors.data import decoding
from ad_detectors.errors import BadPicture, ConfigError, DataError
from ad_detectors.usage import pictures, wire

SIZE = 8


def rotated() -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    return hostile.encoded(hostile.noise(), "JPEG", exif=exif)


FILES = {
    "rgb.png": hostile.encoded(hostile.noise(), "PNG"),
    "rgba.png": hostile.encoded(hostile.noise().convert("RGBA").rotate(30), "PNG"),
    "palette.png": hostile.encoded(hostile.noise().quantize(16), "PNG"),
    "deep.png": hostile.encoded(
        Image.fromarray(np.arange(4000, dtype=np.uint16).reshape(40, 100) * 16), "PNG"
    ),
    "grey.bmp": hostile.encoded(hostile.noise().convert("L"), "BMP"),
    "cmyk.jpg": hostile.encoded(hostile.noise().convert("CMYK"), "JPEG"),
    "rotated.jpg": rotated(),
    "one.png": hostile.encoded(hostile.noise(1, 1), "PNG"),
    "tall.tif": hostile.encoded(hostile.noise(300, 1), "TIFF"),
}
WAYS: dict[str, Callable[[bytes, Path], Any]] = {
    "path": lambda content, path: path,
    "text": lambda content, path: str(path),
    "bytes": lambda content, path: content,
    "view": lambda content, path: memoryview(content),
    "file": lambda content, path: io.BytesIO(content),
    "pillow": lambda content, path: Image.open(path),
}
SENT: dict[str, Callable[[bytes], Any]] = {
    "base64": lambda content: base64.b64encode(content).decode(),
    "lines": lambda content: base64.encodebytes(content).decode(),
    "address": lambda content: "data:image/png;base64," + base64.b64encode(content).decode(),
    "object": lambda content: {"image": base64.b64encode(content).decode()},
    "bytes": lambda content: content,
}


@pytest.mark.parametrize("name", FILES)
def test_a_picture_gives_the_same_pixels_however_it_is_handed_over(tmp_path: Path, name: str) -> None:
    path, content = tmp_path / name, FILES[name]
    path.write_bytes(content)
    expected = decoding.picture(path, SIZE)
    for way, hand_over in WAYS.items():
        assert np.array_equal(pictures.pixels(hand_over(content, path), SIZE), expected), way
    for way, send in SENT.items():
        assert np.array_equal(wire.read(send(content), SIZE), expected[None]), way
        assert np.array_equal(wire.read([send(content)] * 2, SIZE), np.stack([expected] * 2)), way


@pytest.mark.parametrize("kind", ["RGB", "L", "RGBA"])
def test_an_array_gives_the_pixels_of_the_file_that_it_would_make(tmp_path: Path, kind: str) -> None:
    image = hostile.noise().convert(kind)
    image.save(tmp_path / "a.png")
    expected = decoding.picture(tmp_path / "a.png", SIZE)
    array = np.asarray(image)
    for given_as in (array, array.astype(np.int64), array[:, ::-1][:, ::-1], np.asfortranarray(array)):
        assert np.array_equal(pictures.pixels(given_as, SIZE), expected)
    for rows in (array.tolist(), array.astype(float).tolist()):
        sent = json.loads(json.dumps(rows))
        for one in (sent, [sent], {"image": sent}, [{"image": sent}]):
            assert np.array_equal(wire.read(one, SIZE), expected[None])


def test_an_array_of_16_bits_is_scaled_like_a_file_of_16_bits(tmp_path: Path) -> None:
    deep = np.arange(0, 65536, 16, dtype=np.uint16).reshape(64, 64)
    Image.fromarray(deep).save(tmp_path / "a.png")
    assert np.array_equal(pictures.pixels(deep, SIZE), decoding.picture(tmp_path / "a.png", SIZE))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF", "ignore:Image size")
def test_every_hostile_file_in_memory_is_refused_in_one_line(tmp_path: Path) -> None:
    small = [
        bad
        for bad in hostile.build(tmp_path)
        if bad.path.is_file() and bad.path.stat().st_size < hostile.SPARSE
    ]
    assert len(small) > 25
    for bad in small:
        content = bad.path.read_bytes()
        for read in (lambda: pictures.pixels(content, SIZE), lambda: wire.read([content], SIZE)):  # noqa: B023
            with pytest.raises(DataError, match=bad.says or None) as caught:
                read()
            assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (np.zeros((4, 4, 3)), "float64 has no known range"),
        (np.zeros((4, 4, 2), np.uint8), r"shape \(4, 4, 2\)"),
        (np.zeros((0, 4, 3), np.uint8), r"shape \(0, 4, 3\)"),
        (np.full((4, 4, 3), 256), "go from 256 to 256"),
        (np.full((4, 4), -1), "go from -1 to -1"),
        (7, "an object of type int"),
        (None, "an object of type NoneType"),
        (Image.new("F", (4, 4)), "no fixed range"),
        (Image.new("RGB", (0, 4)), "0 x 4 pixels"),
        (Image.new("L", (70_000, 1)), "70000 x 1 pixels"),
    ],
)
def test_what_is_no_picture_is_refused_with_what_would_be(wrong: Any, says: str) -> None:
    with pytest.raises(BadPicture, match=says) as caught:
        pictures.pixels(wrong, SIZE)
    assert "\n" not in str(caught.value)


def test_a_picture_that_pillow_cannot_finish_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cut.png").write_bytes(FILES["rgb.png"][:900])
    refused = pytest.raises(BadPicture, match="cannot read picture here: it is damaged")
    with Image.open(tmp_path / "cut.png") as cut, refused:
        pictures.pixels(cut, SIZE, "here")


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["image", "b"]), inner, max_size=2)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(JSON)
def test_any_json_is_pixels_or_one_line_that_says_what_is_wrong(sent: Any) -> None:
    said = ""
    try:
        assert wire.read(sent, SIZE).shape[1:] == (3, SIZE, SIZE)
    except DataError as error:
        said = str(error)
    assert "\n" not in said
    assert len(said) < 400


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.data())
def test_any_file_with_a_few_bytes_changed_is_pixels_or_one_line(name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, min(len(content) - 1, 400)))] = data.draw(st.integers(0, 255))
    said = ""
    try:
        assert pictures.pixels(bytes(content), SIZE).shape == (3, SIZE, SIZE)
    except DataError as error:
        said = str(error)
    assert "\n" not in said


def test_a_request_holds_some_pictures_but_not_too_many() -> None:
    with pytest.raises(DataError, match="there are no pictures"):
        wire.read([], SIZE)
    with pytest.raises(DataError, match=f"send at most {wire.MOST}"):
        wire.read([None] * (wire.MOST + 1), SIZE)
    with pytest.raises(BadPicture, match="picture 1: it is None"):
        wire.read([FILES["rgb.png"], None], SIZE)


@pytest.mark.parametrize("wrong", ["heat", "", None, 3, ["png"]])
def test_a_kind_of_map_that_does_not_exist_is_refused_with_those_that_do(wrong: Any) -> None:
    with pytest.raises(ConfigError, match="it can be none, array, png, overlay"):
        wire.wanted_maps({"maps": wrong})
