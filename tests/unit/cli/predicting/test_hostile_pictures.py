"""Whatever a file holds, `adctl predict` gives a right score or says what is wrong, in bounded memory."""

import csv
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from PIL import Image

import hostile_images as hostile
from placed_model import Placed

ROOM = 512 << 20  # bytes beside what is loaded; what a header claims here would take gigabytes
WITHIN = """
import os, resource, sys
from pathlib import Path
os.environ["OMP_NUM_THREADS"] = "1"
import ad_workers.predicting.scoring, ad_detectors.zoo.pixel_mean
from ad_cli.main import run
model, whole, out, *files = sys.argv[1:]
assert run(["predict", model, whole, "-q"]) == 0  # so that all is loaded
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + %d,) * 2)
sys.exit(run(["predict", model, *files, "--threshold", "1", "--out", out, "--masks", "--csv"]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> list[hostile.Hostile]:
    made = hostile.build(tmp_path_factory.mktemp("hostile"))
    return [bad for bad in made if not bad.path.is_dir()]  # what lies in a folder is asked for


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_every_hostile_file_is_a_row_that_says_why_and_the_others_are_scored(
    adctl, placed: Placed, folder
) -> None:
    whole = [str(placed.cut / f"{number}.png") for number in range(4)]
    files = [str(bad.path) for bad in folder]
    mixed = [*whole[:2], *files, *whole[2:]]

    called = adctl("predict", "screw", *mixed, "--json", "--out", "out")

    images = {image["path"]: image for image in called.json["images"]}
    assert called.code == 2
    for bad in folder:
        image = images[str(bad.path)]
        assert (image["score"], image["decision"]) == (None, "unreadable")
        assert image["error"].startswith(f"cannot read picture {bad.path}: ")
        assert re.search(bad.says, image["error"])
    alone = adctl("predict", "screw", *whole, "--json").json["images"]
    assert [images[path]["score"] for path in whole] == [image["score"] for image in alone]
    assert called.err.count("error: cannot read picture") == len(folder)
    assert "Traceback" not in called.err


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("deep.png", lambda grey: Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)),
        ("deep.tif", lambda grey: Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)),
        ("palette.png", lambda grey: grey.convert("P")),
        ("palette.bmp", lambda grey: grey.convert("P")),
        ("alpha.png", lambda grey: grey.convert("LA")),
        ("rgb.tif", lambda grey: grey.convert("RGB")),
        ("turned.png", lambda grey: grey.transpose(Image.Transpose.ROTATE_90)),
    ],
)
def test_one_picture_saved_in_many_ways_has_one_score(adctl, placed: Placed, name, make) -> None:
    with Image.open(placed.cut / "0.png") as image:
        grey = image.convert("L")
    grey.save("grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6 if name == "turned.png" else 1  # shown turned by a quarter, clockwise
    make(grey).save(name, **({"exif": exif} if name == "turned.png" else {}))

    scores = [
        image["score"] for image in adctl("predict", "screw", "grey.png", name, "--json").json["images"]
    ]

    assert scores[0] == scores[1]


def test_pictures_of_strange_shapes_and_colours_are_scored(adctl, placed: Placed) -> None:
    Image.new("RGB", (1, 1), "red").save("dot.png")
    Image.new("L", (1, 5000)).save("line.png")
    Image.new("CMYK", (40, 30), (0, 200, 200, 20)).save("print.jpg")
    Image.new("1", (40, 30)).save("bits.png")
    names = ("dot.png", "line.png", "print.jpg", "bits.png")

    called = adctl("predict", "screw", *names, "--json", "--out", "out", "--masks", "--maps")

    assert (called.code, [image["error"] for image in called.json["images"]]) == (0, [None] * 4)
    for name in names:
        stem = name.partition(".")[0]
        with Image.open(name) as picture, Image.open(f"out/{stem}.mask.png") as mask:
            assert picture.size == mask.size
            assert Path(f"out/{stem}.png").is_file()


def test_hostile_files_are_predicted_within_bounded_memory(placed: Placed, folder) -> None:
    arguments = [str(placed.made.model), str(placed.cut), "out", *(str(bad.path) for bad in folder)]
    environment = {**os.environ, "ADCTL_HOME": str(Path("home").resolve()), "PYTHONPATH": ":".join(sys.path)}

    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHIN % ROOM, *arguments, str(placed.cut / "1.png")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )

    assert done.returncode == 2, done.stderr
    table = [line for line in done.stdout.splitlines() if "\t" not in line]
    rows = {row["path"]: row for row in csv.DictReader(table)}
    assert len(rows) == len(folder) + 1
    assert rows[str(placed.cut / "1.png")]["decision"] == "anomalous"
    assert not [row for row in rows.values() if "memory" in row["error"]]


WHOLE = {
    suffix: hostile.encoded(hostile.noise(24, 31).convert(mode), kind, **options)
    for suffix, kind, mode, options in (
        ("rgb.png", "PNG", "RGB", {}),
        ("palette.png", "PNG", "P", {}),
        ("progressive.jpg", "JPEG", "CMYK", {"progressive": True}),
        ("palette.bmp", "BMP", "P", {}),
        ("lzw.tif", "TIFF", "RGBA", {"compression": "tiff_lzw"}),
    )
}
EDITS = st.lists(st.tuples(st.integers(0, 2**14), st.integers(0, 255)), max_size=6)


@pytest.mark.filterwarnings("ignore::UserWarning")
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.fixed_dictionaries({name: st.tuples(EDITS, st.floats(0, 1)) for name in WHOLE}))
def test_bytes_changed_or_cut_anywhere_give_a_score_or_an_error(adctl, placed: Placed, changes) -> None:
    for name, (edits, kept) in changes.items():
        content = bytearray(WHOLE[name])
        for place, value in edits:
            content[place % (len(content) if place % 2 else 150)] = value
        Path(name).write_bytes(content[: max(1, int(len(content) * (1 if kept > 0.5 else 2 * kept)))])

    called = adctl("predict", "screw", *WHOLE, "--csv", "--out", "out", "--masks", "--overwrite")

    assert called.code in (0, 2)
    assert "fault of adctl" not in called.err
    for row in csv.DictReader(io.StringIO(called.out)):
        assert bool(row["score"]) != row["error"].startswith(f"cannot read picture {row['path']}: ")
        assert bool(row["score"]) == bool(row["heat_map"]) == bool(row["mask"])


def test_a_watch_names_what_is_hostile_and_goes_on(adctl, placed: Placed, folder, monkeypatch) -> None:
    """Only files count: pipes, devices and links to nowhere are no pictures that came in."""
    import threading

    from ad_workers.predicting import watching

    Path("in").mkdir()
    files = [bad.path for bad in folder if bad.path.is_file()]
    for path in files:
        os.link(path, f"in/{path.name}") if not path.is_symlink() else None
    Path("in/whole.png").write_bytes((placed.cut / "0.png").read_bytes())
    count = len(list(Path("in").iterdir()))
    original = watching.Watch.results

    def until_all(self, stop: threading.Event):
        for entries in original(self, stop):
            yield entries
            if len(self.journal.known) == count:
                stop.set()

    monkeypatch.setattr(watching.Watch, "results", until_all)
    called = adctl(
        "predict", "screw", "--watch", "in", "--out", "out", "--settle", "0.05", "--format", "jsonl"
    )

    assert called.code == 0
    assert called.out.count('"unreadable"') == count - 1
    assert called.out.count('"anomalous"') == 1
