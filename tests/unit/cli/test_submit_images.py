"""Promises of `adctl submit` about which images are meant."""

from pathlib import Path

import pytest

from ad_platform.records import Holding
from clientkit import Bench, make_category


def submitted(adctl, *arguments: str) -> dict[str, str]:
    called = adctl("submit", "train", "-m", "toy", *arguments, "--no-evaluate", "--json")
    assert called.code == 0, called.err
    found: dict[str, str] = called.json["jobs"][0]["spec"]["dataset"]
    return found


def test_a_category_is_found_in_any_case_below_the_data_folder(adctl, desk: Bench):
    make_category(desk.client.settings.data_root, dataset="MVTec", category="Screw")

    by_both = submitted(adctl, "-d", "mvtec", "-c", "screw")

    assert (by_both["dataset"], by_both["category"]) == ("MVTec", "Screw")
    assert submitted(adctl, "-c", "SCREW") == by_both


def test_the_exact_case_wins_and_two_that_fit_otherwise_are_named(adctl, desk: Bench):
    root = desk.client.settings.data_root
    make_category(root, category="Screw")
    make_category(root, category="screw")

    assert submitted(adctl, "-c", "screw")["category"] == "screw"
    called = adctl("submit", "train", "-m", "toy", "-c", "SCREW")
    assert called.code == 2
    assert "'SCREW' fits several: Screw, screw" in called.err


def test_a_category_that_only_workers_hold_is_found_in_any_case(adctl, desk: Bench):
    held = Holding(node="far", fingerprint="f" * 64, dataset="MVTec", category="Hazelnut", path="/far")
    desk.store.workers.hold([held])

    assert submitted(adctl, "-d", "mvtec", "-c", "HAZELNUT")["fingerprint"] == "f" * 64


def test_a_folder_of_a_data_set_is_refused_with_its_categories(adctl, screw: Path):
    make_category(screw.parents[1], category="nut")

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw.parent))

    assert called.code == 2
    assert f"{screw.parent} is a dataset with the categories nut, screw; choose one" in called.err
    assert f"--data {screw.parent}/nut" in called.err


def test_a_folder_of_a_data_set_and_a_category_will_do(adctl, screw: Path):
    assert submitted(adctl, "--data", str(screw.parent), "-c", "screw")["path"] == str(screw)


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("parts/scrw", "parts/screw"), ("prats/screw", "parts/screw"), ("Parts/screw", "parts/screw")],
)
def test_a_misspelt_folder_gets_the_nearest_one(adctl, screw: Path, wrong: str, near: str):
    root = screw.parents[1]

    called = adctl("submit", "train", "-m", "toy", "--data", str(root / wrong))

    assert called.code == 2
    assert f"{root / wrong} does not exist; did you mean {root / near}?" in called.err


def test_normal_test_images_alone_are_evaluated(adctl, desk: Bench, screw: Path):
    (screw / "test" / "scratch" / "0.png").unlink()

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json")

    assert [job["kind"] for job in called.json["jobs"]] == ["train", "evaluate"]
