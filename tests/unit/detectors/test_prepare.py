"""Published datasets, here in miniature and in their own layouts, become ours: whole, once, or not at all."""

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_detectors.data.check import check
from ad_detectors.data.findings import Severity
from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.layout import open_category
from ad_detectors.data.prepare.datasets import prepare
from ad_detectors.errors import DataError, NoRoom

numbers = iter(range(10**9))


def put(path: Path, mode: str = "RGB", mask: bool = False) -> None:
    """Save a picture unlike any other, or a mask that marks the upper half with 3."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(next(numbers)).integers(0, 256, (6, 8, 3), np.uint8)
    if mask:
        pixels[:3], pixels[3:] = 3, 0
    image = Image.fromarray(pixels).convert("L" if mask else "RGB")
    image.convert(mode).save(path) if mode != "P" else coded(pixels[..., 0]).save(path)


def coded(classes: np.ndarray) -> Image.Image:
    """Return class numbers under a palette that shows all of them in black."""
    image = Image.frombytes("P", classes.shape[::-1], classes.tobytes())
    image.putpalette(bytes(768))
    return image


@pytest.fixture
def visa(tmp_path: Path) -> Path:
    root = tmp_path / "VisA_20220922"
    lines = ["object,split,label,image,mask"]
    for name in ("candle", "pcb1"):
        data = f"{name}/Data"
        for index in range(5):
            put(root / data / f"Images/Normal/{index:04}.JPG")
            lines.append(
                f"{name},{'test' if index == 1 else 'train'},normal,{data}/Images/Normal/{index:04}.JPG,"
            )
        for index in range(2):
            put(root / data / f"Images/Anomaly/{index:03}.JPG")
            put(root / data / f"Masks/Anomaly/{index:03}.png", mode="P" if index else "L", mask=True)
            picture, mask = f"{data}/Images/Anomaly/{index:03}.JPG", f"{data}/Masks/Anomaly/{index:03}.png"
            lines.append(f"{name},test,anomaly,{picture},{mask}")
        (root / name / "image_anno.csv").write_text("image,label,mask\n")
    (root / "split_csv").mkdir()
    (root / "split_csv/1cls.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture
def btad(tmp_path: Path) -> Path:
    root = tmp_path / "BTech_Dataset_transformed"
    for name, kind, mask in (("01", "bmp", "png"), ("02", "png", "png"), ("03", "bmp", "bmp")):
        for place in ("train/ok/0000", "train/ok/0001", "test/ok/0000", "test/ko/0000"):
            put(root / name / f"{place}.{kind}")
        put(root / name / f"ground_truth/ko/0000.{mask}", mask=True)
    return root


@pytest.fixture
def mpdd(tmp_path: Path) -> Path:
    root = tmp_path / "MPDD"
    for name in ("bracket_black", "bracket_brown", "bracket_white", "connector", "metal_plate", "tubes"):
        for place in ("train/good/000", "test/good/000", "test/scratches/000"):
            put(root / name / f"{place}.png")
        put(root / name / "ground_truth/scratches/000_mask.png", mask=True)
    return root


def listed(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def unclean(folder: Path) -> list[str]:
    reports = check(folder)
    return [each.path for report in reports for each in report.findings if each.severity is Severity.ERROR]


def test_visa_follows_its_published_split(visa: Path, tmp_path: Path) -> None:
    made = prepare("visa", visa, tmp_path / "visa")
    assert [(one.category, one.pictures, one.masks, one.new) for one in made] == [
        ("candle", 7, 2, True),
        ("pcb1", 7, 2, True),
    ]
    folder = tmp_path / "visa/candle"
    assert listed(folder) == [
        "ground_truth/bad/000_mask.png",
        "ground_truth/bad/001_mask.png",
        "test/bad/000.JPG",
        "test/bad/001.JPG",
        "test/good/0001.JPG",
        *(f"train/good/{index:04}.JPG" for index in (0, 2, 3, 4)),
    ]
    original = visa / "candle/Data/Images/Anomaly/001.JPG"
    assert (folder / "test/bad/001.JPG").read_bytes() == original.read_bytes()
    for mask in (folder / "ground_truth/bad").iterdir():
        with Image.open(mask) as image:
            assert image.mode == "L"
            assert np.asarray(image).tolist() == [[255] * 8] * 3 + [[0] * 8] * 3
    assert [sample.defect for sample in open_category(folder).test] == ["bad", "bad", "good"]
    assert unclean(tmp_path / "visa") == []


@pytest.mark.parametrize("dataset", ["btad", "mpdd"])
def test_what_is_prepared_holds_the_pictures_that_can_be_read_as_they_ship(
    dataset: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(dataset)
    for one in prepare(dataset, source, tmp_path / "out"):
        before, after = open_category(source / one.category), open_category(one.path)
        assert [s.path.name for s in before.train] == [s.path.name for s in after.train]
        both = (sorted(c.test, key=lambda s: (s.defect, s.path.name)) for c in (before, after))
        for old, new in zip(*both, strict=True):
            assert (old.defect, old.path.read_bytes()) == (new.defect, new.path.read_bytes())
            assert (old.mask is None) == (new.mask is None)
        assert after.train[0].name.startswith("train/good/")
    assert unclean(tmp_path / "out") == []


def test_a_second_call_changes_nothing_and_goes_on_where_the_first_one_stopped(
    visa: Path, tmp_path: Path
) -> None:
    prepare("visa", visa, tmp_path / "visa", only=["candle"])
    mark = fingerprint(tmp_path / "visa/candle")
    made = prepare("visa", visa, tmp_path / "visa")
    assert [one.new for one in made] == [False, True]
    assert fingerprint(tmp_path / "visa/candle") == mark


def test_something_else_in_the_way_is_never_touched(visa: Path, tmp_path: Path) -> None:
    mine = tmp_path / "visa/candle/train/good/mine.png"
    put(mine)
    with pytest.raises(DataError, match="candle holds something else"):
        prepare("visa", visa, tmp_path / "visa")
    assert listed(tmp_path / "visa") == ["candle/train/good/mine.png"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match="cannot make"):
        prepare("visa", visa, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_pictures_can_be_linked_instead_of_copied(visa: Path, tmp_path: Path) -> None:
    prepare("visa", visa, tmp_path / "visa", link=True)
    assert (tmp_path / "visa/pcb1/train/good/0000.JPG").samefile(visa / "pcb1/Data/Images/Normal/0000.JPG")
    assert not (tmp_path / "visa/pcb1/ground_truth/bad/000_mask.png").samefile(
        visa / "pcb1/Data/Masks/Anomaly/000.png"
    )


def test_what_is_missing_in_the_source_is_said_before_anything_is_made(visa: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (visa / "candle/Data/Images/Normal/0002.JPG").unlink()
    with pytest.raises(DataError, match=r"lacks candle/Data/Images/Normal/0002\.JPG"):
        prepare("visa", visa, out)
    shutil.rmtree(visa / "pcb1")
    with pytest.raises(DataError, match=r"lacks pcb1.*--category"):
        prepare("visa", visa, out)
    with pytest.raises(DataError, match="no category 'pcb1'"):
        prepare("visa", visa, out, only=["pcb1"])
    (visa / "split_csv/1cls.csv").unlink()
    with pytest.raises(DataError, match=r"1cls\.csv is missing"):
        prepare("visa", visa, out)
    with pytest.raises(DataError, match="does not exist"):
        prepare("visa", tmp_path / "nowhere", out)
    assert not out.exists()


def test_a_wrong_folder_of_btad_or_mpdd_is_told_from_the_right_one(
    btad: Path, mpdd: Path, tmp_path: Path
) -> None:
    for dataset, source, says in (
        ("btad", mpdd, "holds no BTAD"),
        ("mpdd", btad, "holds no MPDD"),
        ("mpdd", tmp_path, f"did you mean {btad}"),
        ("btad", btad / "01", "folder above, and --category 01"),
    ):
        with pytest.raises(DataError, match=says):
            prepare(dataset, source, tmp_path / "out")
    shutil.rmtree(mpdd / "tubes")
    with pytest.raises(DataError, match="lacks tubes"):
        prepare("mpdd", mpdd, tmp_path / "out")


@pytest.mark.parametrize(
    "row",
    [
        "candle,train,normal,../secret.JPG,",
        "candle,train,normal,/etc/secret.JPG,",
        "../candle,train,normal,candle/a.JPG,",
        "candle,validation,normal,candle/a.JPG,",
        "candle,train,anomaly,candle/a.JPG,candle/a.png",
        "candle,test,anomaly,candle/a.JPG,",
        "candle",
    ],
)
def test_a_table_that_reaches_elsewhere_or_says_something_else_is_refused(
    visa: Path, tmp_path: Path, row: str
) -> None:
    with (visa / "split_csv/1cls.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DataError, match=r"1cls\.csv line 16"):
        prepare("visa", visa, tmp_path / "out")


def test_a_full_disk_leaves_nothing_half_made(
    visa: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = []

    def copy(source: Path, target: Path) -> None:
        copied.append(source)
        if len(copied) == 10:
            target.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))
        target.write_bytes(source.read_bytes())

    monkeypatch.setattr("ad_detectors.data.prepare.writing.shutil.copyfile", copy)
    with pytest.raises(NoRoom, match=r"no room left .*pcb1"):
        prepare("visa", visa, tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["candle"]


def test_a_file_that_cannot_be_written_to_its_end_leaves_nothing_half_made(
    visa: Path, tmp_path: Path
) -> None:
    large = visa / "candle/Data/Images/Normal/0003.JPG"
    large.write_bytes(large.read_bytes() + bytes(100_000))
    script = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from ad_detectors.data.prepare.datasets import prepare\n"
        "from ad_detectors.errors import DataError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))\n"
        "try: prepare('visa', Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "except DataError as error: print(error)\n"
    )
    command = [sys.executable, "-B", "-c", script, str(visa), str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"cannot make {tmp_path / 'out/candle'}")
    assert list((tmp_path / "out").iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 50_000


def test_a_broken_mask_is_named_and_leaves_nothing_half_made(visa: Path, tmp_path: Path) -> None:
    (visa / "candle/Data/Masks/Anomaly/000.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"Masks/Anomaly/000\.png"):
        prepare("visa", visa, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_what_a_killed_call_left_is_swept_a_day_later(visa: Path, tmp_path: Path) -> None:
    for name, age in ((".candle.old.tmp", 100_000), (".candle.new.tmp", 10)):
        (tmp_path / "out" / name / "train").mkdir(parents=True)
        then = (tmp_path / "out" / name).stat().st_mtime - age
        os.utime(tmp_path / "out" / name, (then, then))
    prepare("visa", visa, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".candle.new.tmp", "candle", "pcb1"]
