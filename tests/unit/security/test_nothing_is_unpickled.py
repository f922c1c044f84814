"""A pickle that would run something is planted wherever a file or a record is read, and none runs."""

import io
import json
import pickle
import sqlite3
import zipfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import optuna
import pytest
import torch

from ad_detectors import checkpoint, registry
from ad_detectors.backbones import features
from ad_detectors.backbones.weights import Places
from ad_detectors.errors import ConfigError, DataError, StateError
from ad_detectors.evaluation.operating import OperatingPoint
from ad_detectors.metrics import evidence_file
from ad_detectors.usage import places
from ad_detectors.zoo.ddad import importing
from ad_platform.errors import CorruptBundle, StoreDamaged
from ad_platform.job_report import results
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.engine import open_storage
from ad_platform.storage.folder import FolderBlobs
from ad_platform.sweeps import optuna_methods
from ad_platform.sweeps.study_spec import Method
from ad_workers import messages


class Canary:
    """Touches a file when it is unpickled."""

    def __init__(self, sign: Path) -> None:
        self._sign = sign

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self._sign,)


@pytest.fixture
def sign(tmp_path: Path):
    sign = tmp_path / "the canary has died"
    pickle.loads(pickle.dumps(Canary(sign)))  # noqa: S301 - it sings
    assert sign.exists()
    sign.unlink()
    yield sign
    assert not sign.exists()


def torch_file(value: object, zipped: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=zipped)
    return file.getvalue()


def npz(value: object) -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([value], dtype=object))
    return file.getvalue()


@pytest.fixture(params=["pickle", "torch", "old torch", "npy in npz", "nested"])
def planted(request: pytest.FixtureRequest, sign: Path) -> bytes:
    """Return a file that runs the canary if whoever reads it lets it."""
    bird = Canary(sign)
    return {
        "pickle": lambda: pickle.dumps(bird),
        "torch": lambda: torch_file({"x": bird}),
        "old torch": lambda: torch_file({"x": bird}, zipped=False),
        "npy in npz": lambda: npz(bird),
        "nested": lambda: b"[" * 100_000,  # runs nothing, and must not end whoever reads it
    }[request.param]()


@pytest.mark.parametrize("name", ["state.safetensors", "state.json", "config.json"])
def test_a_checkpoint_or_a_model_is_tensors_and_json(planted: bytes, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    config = registry.resolve("pixel_mean", None, {"image_size": 16})
    checkpoint.save_model(folder, "pixel_mean", config, {"a": torch.ones(2), "b": 1})
    (folder / name).write_bytes(planted)
    with pytest.raises(StateError):
        checkpoint.load(folder) if name != "config.json" else checkpoint.about_model(folder)
    with pytest.raises(StateError):
        checkpoint.load_model(folder, torch.device("cpu"))


@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".pt", ".bin"])
def test_weights_of_a_backbone_are_tensors(planted: bytes, tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"resnet18{suffix}").write_bytes(planted)
    with pytest.raises(StateError, match=r"cannot read weights file"):
        features.load("resnet18", (8,), places=Places(folder=tmp_path))


@pytest.mark.parametrize(
    "name", ["hf-hub:evil/resnet18", "hf_hub:evil/x", "local-dir:/tmp", "/tmp/x.pth", "http://127.0.0.1:1/x"]
)
def test_a_backbone_is_a_name_and_no_place_to_load_code_or_weights_from(name: str) -> None:
    with pytest.raises(ConfigError, match="no backbone named"):
        features.load(name, (8,), places=Places())
    with pytest.raises(ConfigError, match="no backbone named"):
        features.empty(name, (8,))


def test_a_published_checkpoint_is_tensors(planted: bytes, tmp_path: Path) -> None:
    (tmp_path / "2000").write_bytes(planted)
    with pytest.raises(StateError, match=r"cannot be read as tensors|no state dict"):
        importing.read(tmp_path / "2000")


def test_the_evidence_of_an_evaluation_is_arrays(planted: bytes, tmp_path: Path) -> None:
    (tmp_path / evidence_file.NAME).write_bytes(planted)
    with pytest.raises(StateError):
        evidence_file.load(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "operating_point.json", "release.json", "MLmodel"])
def test_a_registered_models_folder_is_read_as_json(planted: bytes, tmp_path: Path, name: str) -> None:
    (tmp_path / "config.json").write_text('{"detector": "pixel_mean", "config": {"image_size": 16}}')
    (tmp_path / name).write_bytes(planted)
    if name == "MLmodel":  # which only MLflow reads
        (tmp_path / "python_model.pkl").write_bytes(planted)
        assert places.find(tmp_path).detector == "pixel_mean"
        return
    with pytest.raises(StateError, match=r"cannot read|no JSON"):
        places.find(tmp_path)


@pytest.mark.parametrize("point", [{"threshold": "os.system"}, {"threshold": [1]}, {}, {"threshold": None}])
def test_an_operating_point_is_numbers(point: dict[str, object]) -> None:
    whole = {"map_threshold": 1.0, "rate": 0.1, "normals": 9, "certified": True, **point}
    with pytest.raises((StateError, DataError)):
        OperatingPoint.from_json(whole)


def test_a_bomb_among_the_pictures_of_an_evaluation_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "cases.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("cases.json", bytes(50 << 20))
        archive.writestr("../../out.png", b"")
    assert (tmp_path / "cases.zip").stat().st_size < 200_000
    found = results.read(tmp_path)
    assert found.cases is None
    assert any("what it holds is too large" in problem for problem in found.problems)


def test_a_manifest_is_json(planted: bytes, tmp_path: Path) -> None:
    storage = BundleStorage(FolderBlobs(tmp_path / "storage"))
    storage.write("jobs/j/model/a1/manifest.json", planted)
    with pytest.raises(CorruptBundle, match=r"manifest\.json cannot be read"):
        storage.fetch("jobs/j/model/a1", tmp_path / "out")


def test_what_a_child_and_its_supervisor_say_is_json_of_known_kinds(planted: bytes) -> None:
    for line in (planted, b'{"type": "Popen", "args": ["id"]}', b'{"type": "__import__"}', b"3", b'"x"'):
        with pytest.raises(ValueError, match=r"not a message|decode|Expecting"):
            messages.decode(line)


def test_a_storage_url_cannot_name_a_program(tmp_path: Path) -> None:
    """fsspec knows protocols that read references and code; none is made up by a path."""
    storage = open_storage(str(tmp_path))
    storage.write("a/b.json", json.dumps({"version": 1, "refs": {}}).encode())
    assert storage.read("a/b.json") is not None


def sweep(tmp_path: Path) -> "optuna.Study":
    spec = SimpleNamespace(sampler=Method(name="cmaes", options={"n_startup_trials": 1}), seed=0, space=())
    sampler = optuna_methods.sampler(spec, 0)  # type: ignore[arg-type]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    place = f"sqlite:///{tmp_path / 'optuna.db'}"
    return optuna.create_study(storage=place, sampler=sampler, study_name="s", load_if_exists=True)


def tried(study: "optuna.Study", count: int) -> None:
    for _ in range(count):
        trial = study.ask()
        study.tell(trial, trial.suggest_float("x", 0, 1) + trial.suggest_float("y", 0, 1))


def test_the_state_that_cmaes_keeps_in_optunas_database_runs_nothing(tmp_path: Path, sign: Path) -> None:
    tried(sweep(tmp_path), 12)
    hostile = json.dumps(pickle.dumps(Canary(sign)).hex())
    with closing(sqlite3.connect(tmp_path / "optuna.db")) as database, database:
        change = "UPDATE trial_system_attributes SET value_json = ? WHERE key LIKE '%optimizer%'"
        assert database.execute(change, (hostile,)).rowcount > 0  # it goes on from such a state, and did
    with pytest.raises(StoreDamaged, match=r"pathlib.*no part of a state"):
        tried(sweep(tmp_path), 1)
