"""Promises of `adctl predict`, with a real detector on a real store."""

import csv
import errno
import os
import signal
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fitted
from clientkit import Bench
from placed_model import Placed


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_scores_are_bit_equal_to_those_of_the_evaluation(adctl, placed: Placed):
    called = adctl("predict", fitted.MODEL, str(placed.good), str(placed.cut), "--json")

    known = {
        row["path"]: float(row["score"]) for row in rows((placed.made.results / "scores.csv").read_text())
    }
    found = {
        Path(image["path"]).relative_to(placed.made.category).as_posix(): image["score"]
        for image in called.json["images"]
    }
    assert len(found) == 13
    assert found == {path: known[path] for path in found}


def test_the_first_line_says_which_model_where_and_from_which_score_on(adctl, placed: Placed):
    called = adctl("predict", "screw", str(placed.good))

    point = placed.made.result["operating_point"]
    first = called.err.splitlines()[0]
    assert called.code == 0
    for words in (
        f"{fitted.MODEL}@champion (revision 1)",
        placed.train.id,
        "on cpu (",
        f"anomalous above {point['threshold']:.6g}",  # type: ignore[index,call-overload]
        "at most 11.1 % false alarms, by 8 calibration images",
        placed.evaluation.id,
    ):
        assert words in first


def test_each_image_is_one_row_of_stable_width_with_its_decision(adctl, placed: Placed):
    called = adctl("predict", "screw", str(placed.good / "1.png"), str(placed.cut / "0.png"))

    header, normal, anomalous = called.out.splitlines()
    assert header.split() == ["SCORE", "DECISION", "IMAGE"]
    assert header.index("IMAGE") == normal.index(str(placed.good)) == anomalous.index(str(placed.cut))
    assert (normal.split()[1], anomalous.split()[1]) == ("normal", "anomalous")
    assert "1 anomalous, 1 normal" in called.err


def test_quiet_prints_the_rows_alone(adctl, placed: Placed):
    called = adctl("predict", "screw", str(placed.cut), "-q")

    assert called.err == ""
    assert [line.split("\t")[2] for line in called.out.splitlines()] == ["anomalous"] * 4


def test_a_model_in_a_folder_is_as_good_as_its_job(adctl, placed: Placed, tmp_path: Path):
    by_job = adctl("predict", placed.train.id, str(placed.good), "--json").json
    by_folder = adctl("predict", str(placed.made.model), str(placed.good), "--json").json

    assert by_folder["images"] != by_job["images"]  # nobody calibrated the folder
    assert [image["score"] for image in by_folder["images"]] == [image["score"] for image in by_job["images"]]
    assert (by_folder["threshold"], by_folder["images"][0]["decision"]) == (None, None)
    assert "evaluate" in by_folder["threshold_source"]
    assert (by_job["selected_on"], by_folder["selected_on"]) == ("none", "none")


def test_a_folder_takes_the_threshold_of_an_evaluation_into_it(adctl, placed: Placed, tmp_path: Path):
    whole = tmp_path / "whole"
    whole.mkdir()
    for file in [*placed.made.model.glob("*.*"), *placed.made.results.glob("*.*")]:
        (whole / file.name).write_bytes(file.read_bytes())

    found = adctl("predict", str(whole), str(placed.cut), "--json").json

    assert found["threshold"] == placed.made.result["operating_point"]
    assert {image["decision"] for image in found["images"]} == {"anomalous"}
    assert adctl("predict", str(whole), str(placed.cut), "--rate", "0.5").code == 0


def test_another_rate_takes_its_threshold_from_the_same_calibration_images(adctl, placed: Placed):
    usual = adctl("predict", "screw", str(placed.good), "--json").json["threshold"]
    half = adctl("predict", "screw", str(placed.good), "--rate", "0.5", "--json").json["threshold"]

    scores = sorted(
        float(row["score"])
        for row in rows((placed.made.results / "scores.csv").read_text())
        if row["split"] == "calibration"
    )
    assert usual["threshold"] == scores[-1]
    assert half["threshold"] == scores[4]  # the 5th of 8: ceil(9 x 0.5)
    assert half["rate"] == 0.5


def test_a_rate_that_so_few_images_cannot_certify_is_refused(adctl, placed: Placed):
    called = adctl("predict", "screw", str(placed.good), "--rate", "0.01")

    assert called.code == 2
    assert "8 calibration images certify no rate of false alarms below 0.1111 (1/9)" in called.err


def test_a_threshold_by_hand_decides_alone(adctl, placed: Placed):
    found = adctl("predict", "screw", str(placed.cut), "--threshold", "1000", "--json").json

    assert {image["decision"] for image in found["images"]} == {"normal"}
    assert found["threshold"]["threshold"] == 1000
    assert (found["threshold"]["certified"], found["threshold"]["rate"]) == (False, None)


@pytest.mark.parametrize(
    ("result", "said"),
    [
        ({"operating_point": None}, "nothing was held out to calibrate on"),
        ({}, "was not evaluated on its own category: adctl submit evaluate"),
    ],
)
def test_without_a_threshold_that_is_said_with_why(adctl, desk: Bench, made, tmp_path, result, said):
    train = fitted.trained(desk.store, desk.client.storage, made)
    if result:
        fitted.evaluated(desk.store, desk.client.storage, made, train, **result)

    called = adctl("predict", train.id, str(made.category / "test" / "cut"), "--out", str(tmp_path / "heat"))
    refused = adctl("predict", train.id, str(made.category / "test" / "cut"), "--rate", "0.5")

    assert called.code == 0
    assert "no threshold, since " in called.err
    assert said in called.err
    assert "cannot be compared" in called.err
    assert {line.split()[1] for line in called.out.splitlines()[1:]} == {"-"}
    assert (refused.code, said in refused.err) == (2, True)


def test_heat_maps_show_red_only_above_the_threshold(adctl, placed: Placed, tmp_path: Path):
    out = tmp_path / "heat"

    called = adctl("predict", "screw", str(placed.good), str(placed.cut), "--out", str(out))

    assert "yellow to red" in called.err
    assert called.out.splitlines()[0].endswith("HEAT MAP")
    assert called.out.splitlines()[1].endswith("heat/good/0.png")
    table = rows((out / "scores.csv").read_text())
    assert len(table) == 13
    for row in table:
        with Image.open(row["heat_map"]) as image:
            pixels = np.asarray(image).astype(int)
        warm = bool((pixels[..., 0] > pixels[..., 2] + 60).any())
        assert warm == (row["decision"] == "anomalous"), row
    assert sorted(path.name for path in out.iterdir()) == ["cut", "good", "scores.csv"]


def test_heat_maps_keep_the_proportions_of_their_pictures(adctl, placed: Placed, tmp_path: Path):
    with Image.open(placed.good / "0.png") as image:
        image.resize((1600, 800)).save(tmp_path / "wide.jpg")

    adctl("predict", "screw", "wide.jpg", "--out", "heat")

    with Image.open(tmp_path / "heat" / "wide.png") as image:
        assert image.size == (1024, 512)


def test_what_lies_in_the_folder_already_is_not_replaced_unasked(adctl, placed: Placed, tmp_path: Path):
    asked = ("predict", "screw", str(placed.cut), "--out", "heat")
    assert adctl(*asked).code == 0
    (tmp_path / "heat" / "0.png").write_text("mine")

    again = adctl(*asked)

    assert again.code == 2
    assert "heat/scores.csv and 4 more files are there already" in again.err
    assert (tmp_path / "heat" / "0.png").read_text() == "mine"
    assert adctl(*asked, "--overwrite").code == 0
    assert (tmp_path / "heat" / "0.png").read_bytes().startswith(b"\x89PNG")


def test_a_picture_is_never_painted_over(adctl, placed: Placed, tmp_path: Path):
    (tmp_path / "1.png").write_bytes((placed.cut / "1.png").read_bytes())

    called = adctl("predict", "screw", "1.png", "--out", ".", "--overwrite")

    assert called.code == 2
    assert "would replace the picture 1.png" in called.err
    assert (tmp_path / "1.png").read_bytes() == (placed.cut / "1.png").read_bytes()


def test_broken_images_are_named_and_the_others_are_scored(adctl, placed: Placed, tmp_path: Path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for name in ("a.png", "c.png"):
        (photos / name).write_bytes((placed.cut / "0.png").read_bytes())
    (photos / "b.png").write_bytes((placed.cut / "0.png").read_bytes()[:90])
    (photos / "d.jpg").write_text("no picture")

    called = adctl("predict", "screw", "photos", "--json", "--out", "heat")

    assert called.code == 2
    assert [image["score"] is None for image in called.json["images"]] == [False, True, False, True]
    errors = [line for line in called.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 3
    assert "photos/b.png" in errors[0]
    assert "photos/d.jpg" in errors[1]
    assert "2 of 4 images could not be scored" in errors[2]
    decisions = [row["decision"] for row in rows((tmp_path / "heat" / "scores.csv").read_text())]
    assert decisions == ["anomalous", "unreadable", "anomalous", "unreadable"]


def test_csv_is_what_the_table_in_the_folder_holds(adctl, placed: Placed, tmp_path: Path):
    called = adctl("predict", "screw", str(placed.cut), "--csv", "--out", "heat")

    assert called.out == (tmp_path / "heat" / "scores.csv").read_text()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("screw", "{good}/00.png"), 2, "there is no file or folder {good}/00.png"),
        (("screw", "{tests}/goood"), 2, "did you mean {tests}/good?"),
        (("screw", "{tests}"), 2, "holds no pictures itself; those in its folders are taken with"),
        (("screw", "{good}/*.bmp"), 2, "nothing fits the pattern"),
        (("scrow", "{good}"), 2, "did you mean pixel_mean-parts-screw?"),
        (("screw@best", "{good}"), 2, "no alias 'best'; there are: champion"),
        (("screw", "{good}", "--json", "--csv"), 2, "not both"),
        (("screw", "{good}", "--rate", "0.5", "--threshold", "1"), 2, "not both"),
        (("screw", "{good}", "--rate", "5"), 2, "--rate is a share between 0 and 1, not 5"),
        (("screw", "{good}", "--threshold", "nan"), 2, "--threshold must be a number"),
        (("screw", "{good}", "--device", "gpu"), 2, "no device 'gpu'"),
        (("screw", "{good}", "--out", "{good}/0.png"), 2, "is a file; name a folder"),
        (("./nowhere", "{good}"), 2, "nowhere does not exist"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(adctl, placed: Placed, tmp_path, arguments, code, said):
    places = {"good": str(placed.good), "tests": str(placed.good.parent)}
    before = sorted(tmp_path.rglob("*.png"))

    called = adctl("predict", *(one.format(**places) for one in arguments))

    assert called.code == code
    assert called.out == ""
    assert called.err.count("\n") == 1
    assert said.format(**places) in called.err
    assert sorted(tmp_path.rglob("*.png")) == before


def test_a_pattern_that_the_shell_left_alone_is_followed(adctl, placed: Placed):
    called = adctl("predict", "screw", f"{placed.good.parent}/**/[01].png", "-q")

    assert len(called.out.splitlines()) == 4


def test_a_full_disk_is_said_and_leaves_nothing(adctl, placed: Placed, tmp_path, monkeypatch):
    from ad_workers.predicting import drawing

    whole, calls = drawing.write_png, []

    def full(path: Path, picture) -> None:
        calls.append(path)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        whole(path, picture)

    monkeypatch.setattr(drawing, "write_png", full)

    called = adctl("predict", "screw", str(placed.cut), "--out", "heat/deep")

    assert called.code == 7
    assert "no space left on device" in called.err
    assert not (tmp_path / "heat").exists()


def test_ctrl_c_keeps_what_was_scored_with_its_table(adctl, placed: Placed, tmp_path, monkeypatch):
    from ad_cli import predictions

    seen = []

    def one(self, each, threshold) -> None:
        seen.append(each)
        if len(seen) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(predictions.Shown, "one", one)

    called = adctl("predict", "screw", str(placed.cut), "--out", "heat")

    assert called.code == 130
    assert "interrupted after 2 of 4 images" in called.err
    assert len(rows((tmp_path / "heat" / "scores.csv").read_text())) == 2


def test_told_to_end_while_it_imports_it_says_of_no_fault_whatever_the_module_makes_of_that(
    adctl, placed: Placed, monkeypatch
):
    def begin(*_: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            threading.Event().wait(5)
        except KeyboardInterrupt:
            raise ImportError("it failed to import") from None

    monkeypatch.setattr("ad_workers.predicting.asking.begin", begin)

    called = adctl("predict", "screw", str(placed.cut))

    assert (called.code, called.out, called.err) == (130, "", "")
    monkeypatch.setattr("ad_workers.predicting.asking.begin", lambda *_: 1 / 0)
    assert "ZeroDivisionError" in adctl("predict", "screw", str(placed.cut)).err  # the next one's own


def test_without_the_workers_part_what_to_install_is_said(adctl, monkeypatch):
    monkeypatch.setattr("ad_cli.predicting.find_spec", lambda name: None)

    called = adctl("predict", "screw", "x.png")

    assert (called.code, "pip install 'adctl[worker]'" in called.err) == (6, True)


def test_a_model_that_was_removed_or_damaged_is_said(adctl, desk: Bench, placed: Placed):
    train = fitted.trained(desk.store, desk.client.storage, placed.made)
    (file,) = (desk.home / "storage" / str(train.result["bundle"])).rglob("state.safetensors")
    file.write_bytes(b"other")

    called = adctl("predict", train.id, str(placed.good))

    assert called.code == 7
    assert "state.safetensors has changed" in called.err


def test_progress_is_redrawn_on_a_terminal_for_many_images(adctl, placed: Placed, monkeypatch):
    monkeypatch.setattr("ad_cli.out.lively", lambda: True)

    few = adctl("predict", "screw", str(placed.cut)).err
    many = adctl("predict", "screw", str(placed.made.category / "train" / "good")).err

    assert "images/s" not in few
    assert "━  40 of 40" in many
    assert many.count("\r\x1b[K") >= 2
