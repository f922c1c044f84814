"""`adctl data`: what a person sees of their pictures, and how a program reads it."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_platform.records import Holding

numbers = iter(range(10**9))


def put(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(next(numbers)).integers(0, 256, (6, 8, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    return folder


@pytest.fixture
def nut(tmp_path: Path) -> Path:
    return put(
        tmp_path / "hardware/nut", *(f"train/good/{index}.png" for index in range(12)), "test/good/0.png"
    )


def test_check_says_what_is_fine_and_ends_well(adctl, nut):
    called = adctl("data", "check", str(nut))

    assert (called.code, called.err) == (0, "")
    assert called.out.splitlines()[0] == "hardware/nut: 12 to train; test: 1 good, 0 anomalous, 0 with a mask"
    assert called.out.splitlines()[-1] == "hardware/nut is fine, with 1 warning"
    assert adctl("data", "check", str(nut), "-q").out == "hardware/nut is fine, with 1 warning\n"


def test_check_names_every_bad_file_and_ends_with_2(adctl, nut):
    for name in ("train/good/3.png", "test/good/0.png"):
        (nut / name).write_bytes(b"")
    whole = (nut / "train/good/4.png").read_bytes()
    (nut / "train/good/4.png").write_bytes(whole[: len(whole) // 2])
    called = adctl("data", "check", str(nut))
    listed = adctl("data", "check", str(nut), "--json")

    assert called.code == listed.code == 2
    assert "train/good/3.png: it is empty" in called.out
    assert "train/good/4.png: " in called.out
    assert called.err == "error: repair before training: nut\n"
    assert {finding["path"] for finding in listed.json[0]["findings"] if finding["severity"] == "error"} == {
        "train/good/3.png",
        "train/good/4.png",
        "test/good/0.png",
    }


def test_a_folder_that_is_none_is_a_usage_error(adctl, tmp_path):
    for words in (["check"], ["prepare", "visa"], ["prepare", "btad"]):
        called = adctl("data", *words, str(tmp_path / "nowhere"), *([str(tmp_path / "o")] * (len(words) > 1)))
        assert called.code == 2
        assert "nowhere does not exist" in called.err


def test_prepare_makes_categories_and_prints_their_folders(adctl, tmp_path):
    for name in ("01", "02", "03"):
        put(tmp_path / "btad" / name, "train/ok/0.bmp", "test/ko/0.bmp", "ground_truth/ko/0.png")
    first = adctl("data", "prepare", "btad", str(tmp_path / "btad"), str(tmp_path / "out"))
    again = adctl("data", "prepare", "btad", str(tmp_path / "btad"), str(tmp_path / "out"), "--json", "-q")

    assert first.code == again.code == 0
    assert (
        first.out.splitlines() == again.json == [str(tmp_path / "out" / name) for name in ("01", "02", "03")]
    )
    assert first.err.splitlines()[0] == "01 made: 2 pictures, 1 masks"
    assert again.err == ""


def test_synth_draws_a_category_that_passes_the_check(adctl, tmp_path):
    out = tmp_path / "synth/screw"
    small = ["--train", "2", "--test-good", "1", "--per-defect", "0", "--size", "64"]
    drawn = adctl("data", "synth", str(out), *small)

    assert (drawn.code, drawn.out) == (0, f"{out}\n")
    assert adctl("data", "check", str(out)).out.splitlines()[-1].startswith("synth/screw is fine")
    assert adctl("data", "synth", str(out), "--size", "1").code == 2


def test_list_shows_what_lies_here_and_what_workers_hold(adctl, desk, tmp_path):
    root = desk.client.settings.data_root
    put(root / "hardware/nut", "train/good/0.png", "test/good/0.png")
    (root / "hardware/empty").mkdir()
    put(root / "bolt", "train/good/0.png")
    for node, categories in (("east", ["nut"]), ("west", ["nut", "gear"])):
        held = {"node": node, "dataset": "hardware", "path": "/far"}
        desk.store.workers.hold([Holding(category=name, fingerprint=name * 9, **held) for name in categories])
    table, listed = adctl("data", "list"), adctl("data", "list", "--json").json

    assert [(place["dataset"], place["category"]) for place in listed] == [
        ("", "bolt"),
        ("hardware", "empty"),
        ("hardware", "gear"),
        ("hardware", "nut"),
    ]
    assert [listed[3][name] for name in ("train", "test", "nodes", "problem")] == [1, 1, ["east", "west"], ""]
    assert "ADCTL_DATA holds <dataset>/<category>" in listed[0]["problem"]
    assert "holds no pictures" in listed[1]["problem"]
    assert table.out.splitlines()[0].split() == ["CATEGORY", "TRAIN", "TEST", "WORKERS", "PUSHED", "HERE"]
    assert adctl("data", "list", "-q").out.splitlines()[-1] == "hardware/nut"


def test_list_without_a_store_shows_what_lies_here(tmp_path):
    put(tmp_path / "data/hardware/nut", "train/good/0.png")
    environment = {"ADCTL_HOME": str(tmp_path / "home"), "ADCTL_DATA": str(tmp_path / "data")}
    done = subprocess.run(
        [sys.executable, "-m", "ad_cli", "data", "list", "--json"],
        env={**environment, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert [place["category"] for place in json.loads(done.stdout)] == ["nut"]
    assert "shown is what lies here" in done.stderr


def test_a_light_install_says_what_to_install(adctl, nut, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr("ad_cli.commands.data.find_spec", lambda name: None if name == "PIL" else real(name))
    called = adctl("data", "check", str(nut))

    assert called.code == 6
    assert "pip install 'adctl[worker]'" in called.err


def test_checking_pictures_loads_no_torch(nut):
    script = (
        "import sys; from ad_cli.main import run; code = run(['data', 'check', sys.argv[1]]);"
        "heavy = {'torch', 'sqlalchemy', 'mlflow'} & set(sys.modules); print(code, heavy, file=sys.stderr)"
    )
    command = [sys.executable, "-c", script, str(nut)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stderr == "0 set()\n"


def test_the_same_commands_work_without_the_platform(nut, capsys):
    from ad_detectors.__main__ import main

    assert main(["data", "check", str(nut)]) == 0
    assert "hardware/nut is fine" in capsys.readouterr().out
    (nut / "train/good/0.png").write_bytes(b"")
    assert main(["data", "check", str(nut), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)[0]["errors"] == 1
    assert main(["data", "prepare", "mpdd", str(nut.parent), str(nut.parent / "out")]) == 2
    assert "lacks bracket_black" in capsys.readouterr().err
