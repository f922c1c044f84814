"""A fitted model in one line: loaded from wherever it lies, it scores whatever a picture may be."""

import base64
import dataclasses
import io
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fitted as fitting
from ad_detectors import Model, Result, load
from ad_detectors.checkpoint import load_model
from ad_detectors.errors import BadPicture, DataError, DeviceError, StateError
from ad_detectors.local import score_local
from ad_detectors.usage import wire


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> fitting.Fitted:
    made = fitting.fit(tmp_path_factory.mktemp("fitted"))
    shutil.copy(made.results / "operating_point.json", made.model)
    return made


@pytest.fixture(scope="module")
def model(fitted: fitting.Fitted) -> Model:
    return load(fitted.model)


def paths(fitted: fitting.Fitted) -> list[Path]:
    return sorted((fitted.category / "test").rglob("*.png"))


def test_a_picture_has_the_score_of_the_library_and_of_the_evaluation(
    fitted: fitting.Fitted, model: Model
) -> None:
    files = paths(fitted)
    expected = [each.score for each in score_local(load_model(fitted.model), files)]
    assert [result.score for result in model.predict(files)] == expected
    assert [model.predict(str(path)).score for path in files] == expected
    arrays = np.stack([np.asarray(Image.open(path)) for path in files])
    assert [result.score for result in model.predict(arrays)] == expected
    mixed = [files[0], files[1].read_bytes(), Image.open(files[2]), arrays[3]]
    assert [result.score for result in model.predict(mixed)] == expected[:4]
    assert model.predict([]) == []


def test_a_result_tells_score_decision_and_where(fitted: fitting.Fitted, model: Model) -> None:
    point = json.loads((fitted.results / "operating_point.json").read_text())
    good, cut = (fitted.category / "test" / kind / "0.png" for kind in ("good", "cut"))
    flawed = model.predict(cut)
    assert isinstance(flawed, Result)
    assert (flawed.threshold, flawed.map_threshold) == (point["threshold"], point["map_threshold"])
    assert flawed.anomalous is True
    assert model.predict(good).anomalous is False
    assert flawed.map is not None
    assert flawed.map.shape == (model.image_size, model.image_size)
    assert flawed.map.dtype == np.float32
    assert float(flawed.map.max()) == flawed.score
    assert np.array_equal(flawed.picture, np.asarray(Image.open(cut)))
    for drawn in (flawed.overlay(), flawed.heat()):
        assert drawn.shape == (*flawed.map.shape, 3)
        assert drawn.dtype == np.uint8
    with pytest.raises(dataclasses.FrozenInstanceError):
        flawed.score = 0.0  # type: ignore[misc]


def test_a_threshold_of_ones_own_replaces_the_calibrated_one(fitted: fitting.Fitted) -> None:
    path = paths(fitted)[0]
    score = load(fitted.model).predict(path).score
    assert load(fitted.model, threshold=score).predict(path).anomalous is False  # greater, not equal
    assert load(fitted.model, threshold=score - 0.01).predict(path).anomalous is True


def test_a_model_that_was_not_calibrated_scores_without_a_decision(
    fitted: fitting.Fitted, tmp_path: Path
) -> None:
    shutil.copytree(fitted.model, tmp_path / "plain")
    (tmp_path / "plain" / "operating_point.json").write_text("null\n")
    result = load(tmp_path / "plain").predict(paths(fitted)[0])
    assert (result.threshold, result.anomalous) == (None, None)
    red = result.heat().astype(int)
    assert not (red[..., 0] > red[..., 2]).any()  # nothing is called anomalous by colour either
    without = dataclasses.replace(result, map=None)
    with pytest.raises(DataError, match="makes no anomaly maps"):
        without.overlay()
    assert wire.answer(without, "png")["map"] is None


def test_a_registered_models_folder_is_a_models_folder(fitted: fitting.Fitted, tmp_path: Path) -> None:
    shutil.copytree(fitted.model, tmp_path / "down" / "artifacts" / "bundle")
    (tmp_path / "down" / "MLmodel").write_text("flavors: {}\n")
    path = paths(fitted)[0]
    assert load(tmp_path / "down").predict(path).score == load(fitted.model).predict(path).score
    assert load(str(tmp_path / "down")).threshold == load(fitted.model).threshold


def test_a_model_computes_with_the_threads_of_its_evaluation(fitted: fitting.Fitted, tmp_path: Path) -> None:
    shutil.copytree(fitted.model, tmp_path / "one")
    (tmp_path / "one" / "release.json").write_text(json.dumps({"threads": 1, "name": "screws"}))
    model = load(tmp_path / "one")
    assert (model.threads, model.place.name) == (1, "screws")
    assert load(tmp_path / "one", threads=2).threads == 2
    before = torch.get_num_threads()
    model.predict(paths(fitted)[0])
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("place", "error", "says"),
    [
        ("nowhere", DataError, "does not exist"),
        ("a file", DataError, "is a file, not a folder"),
        ("empty", DataError, "no config.json"),
        ("other", DataError, "none of ours"),
        ("garbled", StateError, "cannot read"),
        ("strange", StateError, "names no detector"),
        ("untrained", StateError, "cannot read"),
        ("", DataError, "name a model"),
    ],
)
def test_what_is_no_model_is_said(tmp_path: Path, place: str, error: type[Exception], says: str) -> None:
    (tmp_path / "a file").touch()
    for name, files in {
        "empty": {},
        "other": {"MLmodel": ""},
        "garbled": {"config.json": "{"},
        "strange": {"config.json": "{}"},
        "untrained": {"config.json": '{"detector": "pixel_mean", "config": {"image_size": 32}}'},
    }.items():
        (tmp_path / name).mkdir()
        for file, text in files.items():
            (tmp_path / name / file).write_text(text)
    with pytest.raises(error, match=says):
        load(tmp_path / place if place else "")


def test_a_wrong_picture_among_others_is_named(fitted: fitting.Fitted, model: Model, tmp_path: Path) -> None:
    good = paths(fitted)[0]
    with pytest.raises(BadPicture, match=r"no_such\.png: no such file"):
        model.predict([good, tmp_path / "no_such.png"])
    with pytest.raises(BadPicture, match="picture 1: it is no JPEG"):
        model.predict([good, b"junk"])
    with pytest.raises(DeviceError, match="no device 'gpu7'"):
        load(fitted.model, on="gpu7")


def test_an_answer_is_plain_json_with_the_map_as_asked(fitted: fitting.Fitted, model: Model) -> None:
    result = model.predict(fitted.category / "test" / "cut" / "0.png")
    assert result.map is not None
    plain = wire.answer(result, "none")
    assert plain == {"score": result.score, "anomalous": True, "threshold": result.threshold}
    for maps in wire.MAPS[1:]:
        answer = json.loads(json.dumps(wire.answer(result, maps), allow_nan=False))
        assert {key: answer[key] for key in plain} == plain
        assert answer["map_threshold"] == result.map_threshold
        if maps == "array":
            assert np.array_equal(np.array(answer["map"], np.float32), result.map)
        else:
            drawn = np.asarray(Image.open(io.BytesIO(base64.b64decode(answer["map"]))))
            assert np.array_equal(drawn, result.heat() if maps == "png" else result.overlay())


def test_looking_up_the_library_loads_no_numbers() -> None:
    code = "import sys, ad_detectors; assert not {'torch', 'numpy', 'PIL', 'mlflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
