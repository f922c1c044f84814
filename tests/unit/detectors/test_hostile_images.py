"""No file, whatever is in it, gives a traceback, hangs, or takes more memory than was said."""

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import hostile_images as hostile
from ad_detectors.data import decoding, opening
from ad_detectors.errors import DataError

WHOLE = {
    suffix: hostile.encoded(hostile.noise(12, 17).convert(mode), kind, **options)
    for suffix, kind, mode, options in (
        ("rgb.png", "PNG", "RGB", {}),
        ("palette.png", "PNG", "P", {}),
        ("alpha.png", "PNG", "RGBA", {}),
        ("jpg", "JPEG", "RGB", {}),
        ("progressive.jpg", "JPEG", "CMYK", {"progressive": True}),
        ("bmp", "BMP", "RGB", {}),
        ("palette.bmp", "BMP", "P", {}),
        ("tif", "TIFF", "RGB", {}),
        ("lzw.tif", "TIFF", "RGBA", {"compression": "tiff_lzw"}),
        ("bits.tif", "TIFF", "1", {"compression": "group4"}),
    )
}
MARKS = [mark for mark, _ in opening.KINDS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> list[hostile.Hostile]:
    return hostile.build(tmp_path_factory.mktemp("hostile"))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_every_hostile_file_is_named_in_one_line_with_what_to_do(folder: list[hostile.Hostile]) -> None:
    for bad in folder:
        for decode in (decoding.picture, decoding.mask)[: 2 if bad.a_mask_too else 1]:
            with pytest.raises(DataError, match=bad.says or None) as caught:
                decode(bad.path, 8)
            said = str(caught.value)
            assert said.startswith(f"cannot read picture {bad.path}: ")
            assert "; " in said
            assert "\n" not in said


@pytest.mark.parametrize("what", ["hostile", "large"])
def test_decoding_stays_within_the_memory_that_was_said(
    folder: list[hostile.Hostile], tmp_path: Path, what: str
) -> None:
    """At most 24 bytes for every pixel and 50 MiB, on top of what the libraries take."""
    Image.new("RGBA", (3000, 2000)).save(tmp_path / "large.png", compress_level=1)
    paths = [bad.path for bad in folder] if what == "hostile" else [tmp_path / "large.png"]
    allowed = (50 << 20) + (0 if what == "hostile" else 24 * 3000 * 2000)
    script = (
        "import resource, sys\n"
        "from pathlib import Path\n"
        "from ad_detectors.data import decoding\n"
        "from ad_detectors.errors import DataError\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + int(sys.argv[1]),) * 2)\n"
        "for name in sys.argv[2:]:\n"
        "    try:\n"
        "        decoding.picture(Path(name), 64)\n"
        "    except DataError as error:\n"
        "        print('refused', error)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", script, str(allowed), *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    refused = done.stdout.splitlines()
    assert len(refused) == (len(folder) if what == "hostile" else 0), refused
    assert not [line for line in refused if "memory" in line]


def outcome(path: Path) -> None:
    """Decode in every way; anything but pixels or a DataError that names the file fails the test."""
    for decode in (decoding.picture, decoding.mask):
        said = ""
        try:
            assert decode(path, 5).shape[-2:] == (5, 5)
        except DataError as error:
            said = str(error)
        assert not said or str(path) in said
        assert "\n" not in said


def test_a_file_cut_anywhere_gives_pixels_or_an_error(tmp_path: Path) -> None:
    for name, content in WHOLE.items():
        for end in range(0, len(content), max(1, len(content) // 25)):
            (tmp_path / name).write_bytes(content[:end])
            outcome(tmp_path / name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    name=st.sampled_from(sorted(WHOLE)),
    edits=st.lists(st.tuples(st.integers(0, 2**16), st.integers(0, 255)), min_size=1, max_size=8),
    near_the_start=st.booleans(),
)
def test_bytes_changed_anywhere_give_pixels_or_an_error(
    tmp_path: Path, name: str, edits: list[tuple[int, int]], near_the_start: bool
) -> None:
    content = bytearray(WHOLE[name])
    span = min(len(content), 150) if near_the_start else len(content)
    for place, value in edits:
        content[place % span] = value
    (tmp_path / name).write_bytes(content)
    outcome(tmp_path / name)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mark=st.sampled_from(MARKS), rest=st.binary(max_size=300))
def test_random_bytes_behind_the_right_start_give_pixels_or_an_error(
    tmp_path: Path, mark: bytes, rest: bytes
) -> None:
    (tmp_path / "a.png").write_bytes(mark + rest)
    outcome(tmp_path / "a.png")


def test_threads_share_the_memory_of_one_large_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of pictures of 600 pixels each, two fit into 1500."""
    monkeypatch.setattr(opening, "_ROOM", opening._Room(1500))
    hostile.noise(20, 30).save(tmp_path / "a.png")
    inside, most, lock = 0, 0, threading.Lock()

    def decode(_: int) -> None:
        nonlocal inside, most
        for _ in range(20):
            with opening.decoded(tmp_path / "a.png") as image:
                with lock:
                    inside, most = inside + 1, max(most, inside + 1)
                image.resize((200, 200))
                with lock:
                    inside -= 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, range(8)))
    assert inside == 0
    assert 1 <= most <= 2


def test_a_warning_that_was_made_an_error_names_the_file_too(folder: list[hostile.Hostile]) -> None:
    (cut,) = [bad.path for bad in folder if bad.path.name == "cut.tiff"]
    with pytest.raises(DataError, match=r"cut\.tiff"):
        decoding.picture(cut, 8)
