"""What `adctl predict` takes on stdin and from lists, and the files it makes of each picture."""

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_workers.predicting.rows import Prediction, table
from placed_model import Placed


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_picture_on_stdin_has_the_score_of_its_file(adctl, said, placed: Placed) -> None:
    said((placed.cut / "0.png").read_bytes())

    piped = adctl("predict", "screw", "-", "--json", "--out", "heat").json["images"]
    named = adctl("predict", "screw", str(placed.cut / "0.png"), "--json").json["images"]

    assert piped[0]["score"] == named[0]["score"]
    assert (piped[0]["path"], piped[0]["heat_map"]) == ("-", "heat/stdin.png")
    assert Path("heat/stdin.png").is_file()


@pytest.mark.parametrize(
    ("content", "null", "count"),
    [
        (b"{cut}/0.png\n{cut}/1.png\n", False, 2),
        (b"{cut}/0.png\r\n\r\n{cut}/1.png", False, 2),
        (b"{cut}/0.png\0{cut}/with\nbreak.png\0", True, 2),
        (b"{cut}\n{cut}/0.png\n", False, 4),  # a folder, and a picture in it once more
    ],
)
def test_names_come_on_stdin_or_in_a_file(adctl, said, placed: Placed, content, null, count) -> None:
    broken = placed.cut / "with\nbreak.png"
    if null:
        broken.write_bytes((placed.cut / "0.png").read_bytes())
    content = content.replace(b"{cut}", os.fsencode(placed.cut))
    Path("list").write_bytes(content)
    said(content)
    more = ("--null",) if null else ()
    try:
        piped = adctl("predict", "screw", "--files-from", "-", *more, "--json").json["images"]
        listed = adctl("predict", "screw", "--files-from", "list", *more, "--json").json["images"]
    finally:
        broken.unlink(missing_ok=True)

    assert piped == listed
    assert len(piped) == count


def test_a_listed_name_is_no_pattern(adctl, placed: Placed) -> None:
    Path("a[0].png").write_bytes((placed.cut / "0.png").read_bytes())
    Path("list").write_text("a[0].png\n")

    assert adctl("predict", "screw", "--files-from", "list", "-q").out.startswith("a[0].png\t")


@pytest.mark.parametrize(
    ("content", "arguments", "said_so"),
    [
        (b"", ("-",), "nothing came on stdin"),
        (b"{cut}/0.png\n", ("-",), "a list is read by --files-from -"),
        (b"text", ("-",), "cannot read picture from stdin: it is no JPEG"),
        (b"\x89PNG\r\n\x1a\n", ("-",), "cannot read picture from stdin"),
        (b"x", ("-", "{cut}"), "stands alone"),
        (b"x", ("-", "--files-from", "-"), "stands alone"),
        (b"\n\n", ("--files-from", "-"), "stdin names no pictures"),
        (b"a\0b", ("--files-from", "-"), "one parted by NUL: --null"),
        (b"nowhere.png\n", ("--files-from", "-"), "there is no file or folder nowhere.png"),
        (b"", ("--files-from", "missing"), "cannot read the list missing: no such file or directory"),
        (b"", ("{cut}", "--null"), "add --files-from"),
        (b"", ("{cut}", "--masks"), "add --out DIR"),
        (b"", ("{cut}", "--format", "xml"), "--format is table, csv, jsonl, not 'xml'"),
        (b"", ("{cut}", "--format", "jsonl", "--csv"), "not both"),
        (b"", ("{cut}", "--format", "csv", "--json"), "not both"),
        (b"", (), "IMAGE is missing"),
    ],
)
def test_what_cannot_be_is_one_line(adctl, said, placed: Placed, content, arguments, said_so) -> None:
    said(content.replace(b"{cut}", os.fsencode(placed.cut)))

    called = adctl("predict", "screw", *(one.format(cut=placed.cut) for one in arguments), "-q")

    assert called.code == 2
    assert said_so in called.err.splitlines()[0]
    assert called.out == ""


def test_a_terminal_is_no_picture(adctl, placed: Placed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ad_cli.predicting.stdin", lambda: None)

    assert "stdin, which is a terminal" in adctl("predict", "screw", "-").err
    assert "find DIR" in adctl("predict", "screw", "--files-from", "-").err


def test_masks_are_white_where_the_map_exceeds_its_threshold(adctl, placed: Placed) -> None:
    arguments = (str(placed.good), str(placed.cut), "--out", "out", "--masks", "--maps", "--no-heat-maps")
    called = adctl("predict", "screw", *arguments)

    threshold = placed.made.result["operating_point"]["map_threshold"]  # type: ignore[index,call-overload]
    table = rows(Path("out/scores.csv"))
    assert called.code == 0
    assert {row["heat_map"] for row in table} == {""}
    assert [row["mask"] for row in table][:1] == ["out/good/0.mask.png"]
    for row in table:
        anomaly_map = np.load(row["map"])
        mask = np.asarray(Image.open(row["mask"]))
        assert (anomaly_map.dtype, anomaly_map.shape) == (np.float32, (32, 32))
        # The pictures are as large as the map, so that nothing was stretched.
        assert np.array_equal(mask, (anomaly_map > threshold) * np.uint8(255))
        assert float(row["score"]) == anomaly_map.max()
        assert bool(mask.any()) == (row["decision"] == "anomalous")
    assert "scores.csv is in out" in called.err


def test_a_mask_is_as_large_as_its_picture(adctl, placed: Placed) -> None:
    with Image.open(placed.cut / "0.png") as image:
        image.resize((1500, 700)).save("wide.png")

    adctl("predict", "screw", "wide.png", "--out", "out", "--masks", "--threshold", "0.01")

    with Image.open("out/wide.mask.png") as mask, Image.open("out/wide.png") as overlay:
        assert (mask.size, mask.mode, overlay.size) == ((1500, 700), "L", (1024, 478))
        assert set(np.unique(np.asarray(mask))) <= {0, 255}


def test_no_file_of_one_picture_takes_the_place_of_anothers(adctl, placed: Placed) -> None:
    for name in ("a.png", "a.jpg", "a.mask.png", "A.bmp"):
        with Image.open(placed.cut / "0.png") as image:
            image.save(name)

    called = adctl("predict", "screw", ".", "--out", "out", "--masks", "--maps", "--json")

    made = [one[what] for one in called.json["images"] for what in ("heat_map", "mask", "map")]
    assert len({Path(path).name.casefold() for path in made}) == 12
    assert all(Path(path).is_file() for path in made)


def test_masks_without_a_threshold_are_refused_before_anything_is_scored(adctl, placed: Placed) -> None:
    called = adctl("predict", str(placed.made.model), str(placed.cut), "--masks", "--out", "out")

    assert (called.code, called.out) == (2, "")
    assert "--masks needs a threshold, but" in called.err
    assert not Path("out").exists()


def test_json_lines_on_stdout_are_those_of_the_file(adctl, placed: Placed) -> None:
    Path("text.png").write_text("no picture")

    called = adctl("predict", "screw", str(placed.cut), "text.png", "--format", "jsonl", "--out", "out")

    lines = [json.loads(line) for line in called.out.splitlines()]
    assert called.out == Path("out/scores.jsonl").read_text()
    assert not Path("out/scores.csv").exists()
    assert [line["decision"] for line in lines] == ["anomalous"] * 4 + ["unreadable"]
    assert (lines[4]["score"], "no JPEG" in lines[4]["error"]) == (None, True)
    assert lines[0]["threshold"] == placed.made.result["operating_point"]["threshold"]  # type: ignore[index,call-overload]


def test_a_name_that_is_no_text_is_written_all_the_same() -> None:
    """As its own bytes in CSV, and as escapes that every reader of JSON takes."""
    one = Prediction(path=os.fsdecode(b"\xff\xfe.png"), score=1.0)

    assert list(table([one], None, "csv"))[1].startswith(b"\xff\xfe.png,1.0,")
    assert json.loads(b"".join(table([one], None, "jsonl")))["path"] == one.path
