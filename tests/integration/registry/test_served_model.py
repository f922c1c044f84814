"""A promoted model, loaded from MLflow's registry as anybody would."""

import base64
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_platform.errors import TrackingDown
from ad_platform.records import Champion
from ad_platform.registry.projection import Projection, project
from ad_platform.registry.promotion import promote
from ad_platform.settings import Settings
from ad_platform.tracking.mlflow import MlflowTracker
from ad_platform.tracking.models import MlflowModels
from ad_platform.tracking.pyfunc import detectors_package, requirements
from job_stories import Stories
from mlflow_home import QUIET

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]


def pictures(folder: Path, count: int) -> list[Path]:
    """Write noisy grey pictures."""
    folder.mkdir(parents=True)
    noise = np.random.default_rng(0)
    paths = [folder / f"{number:03d}.png" for number in range(count)]
    for path in paths:
        Image.fromarray(noise.integers(90, 160, (32, 32, 3), dtype=np.uint8)).save(path)
    return paths


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a really fitted detector."""
    from ad_detectors import checkpoint, registry
    from ad_detectors.local import fit_local

    root = tmp_path_factory.mktemp("fitted")
    pictures(root / "bottle" / "train" / "good", 4)
    pictures(root / "bottle" / "test" / "good", 1)
    config = registry.resolve("ddad", "tiny", {"steps": 2, "noise_step": 2, "skip": 1, "scale_images": 1})
    fitted = fit_local("ddad", config, root / "bottle", root / "out", seed=0, device="cpu", threads=2)
    checkpoint.save_model(root / "model", "ddad", config, fitted.state())
    return root / "model"


def pickled(path: Path) -> bool:
    """Say whether a file is a pickle, or what torch writes, by its name or what it holds."""
    start = path.read_bytes()[:4]
    named = path.suffix in (".pkl", ".pickle", ".pyc", ".pt", ".pth", ".bin", ".joblib", ".npy")
    return named or start.startswith((b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05", b"PK\x03\x04"))


def promoted(stories: Stories, bundle: Path, category: str) -> Champion:
    job = stories.submit(category=category)
    done = stories.succeed(stories.lease(job), bundle, {})
    stories.evaluated(done, 0.9)
    return promote(stories.store, stories.storage, done, "champion", "ann", reason="the first")


@pytest.fixture
def mlflow_told(settings: Settings) -> Iterator[None]:
    """Tell MLflow where the models are, as a program that loads one does."""
    import mlflow

    mlflow.set_tracking_uri(settings.tracking_uri)
    yield
    mlflow.set_tracking_uri(None)


@pytest.mark.usefixtures("mlflow_told")
def test_a_promoted_model_gives_the_scores_of_its_detector(
    stories: Stories, tracker: MlflowTracker, bundle: Path, tmp_path: Path
) -> None:
    champion = promoted(stories, bundle, "served")
    assert project(stories.store, stories.storage, MlflowModels(tracker)) == 1
    paths = pictures(tmp_path / "new", 2)

    import mlflow
    import pandas as pd
    import torch
    from mlflow.exceptions import MlflowException

    import ad_detectors
    from ad_detectors.checkpoint import load_model
    from ad_detectors.errors import DataError

    model = mlflow.pyfunc.load_model(f"models:/{champion.model}@champion")
    arrays = [np.asarray(Image.open(path)) for path in paths]
    images = torch.stack([torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays])
    expected = load_model(bundle).score(images).images.tolist()
    assert len(set(expected)) == 2

    def scores(given: object) -> list[float]:
        return [answer["score"] for answer in model.predict(given)]

    texts = [base64.b64encode(path.read_bytes()).decode() for path in paths]
    assert scores(paths) == expected
    assert scores(pd.DataFrame({"image": texts})) == expected
    assert scores(texts) == expected
    assert scores(np.stack(arrays)) == expected
    assert scores(arrays[1]) == expected[1:]
    drawn = model.predict(paths[0], params={"maps": "array"})[0]
    assert np.asarray(drawn["map"]).shape == (32, 32)
    assert ad_detectors.load(f"models:/{champion.model}@champion").predict(paths[0]).score == expected[0]
    for wrong in (
        [Path("/no/such.png")],
        ["!"],
        [np.zeros((4, 4))],
        [np.zeros((4, 4, 3)) - 1.0],
        ["aGVsbG8="],
    ):
        with pytest.raises(MlflowException, match="cannot read picture") as caught:
            model.predict(wrong)
        assert caught.value.get_http_status_code() == 400
    with pytest.raises(MlflowException, match="there are 2 columns"):
        model.predict(pd.DataFrame({"a": texts, "b": texts}))
    with pytest.raises(DataError, match=r"does not give models:/no-such@champion.*MLFLOW_TRACKING_URI"):
        ad_detectors.load("models:/no-such@champion")


def test_a_version_carries_code_weights_and_requirements_and_no_pickle(
    stories: Stories, tracker: MlflowTracker, bundle: Path, tmp_path: Path
) -> None:
    champion = promoted(stories, bundle, "carried")
    project(stories.store, stories.storage, MlflowModels(tracker))
    client = tracker.client
    version = client.get_model_version_by_alias(champion.model, "champion")
    assert version.tags["adctl.job_id"] == champion.job_id
    assert version.tags["adctl.revision"] == "1"
    assert version.description.startswith(f"# {champion.model}")
    assert "- reason: the first" in version.description
    assert "selected on: none" in version.description
    assert version.tags["adctl.selected_on"] == "none"
    assert stories.store.champions.current(champion.model, "champion").published == str(version.version)  # type: ignore[union-attr]
    place = version.source.rpartition("/")[2]
    assert place.startswith(f"champion-{champion.revision}-")
    folder = Path(client.download_artifacts(version.run_id, f"registered/{place}", str(tmp_path)))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"code/ad_detectors/api.py", "code/ad_detectors/zoo/ddad/config.py"} <= files
    assert any(name.endswith("state.safetensors") for name in files)
    assert [name for name in files if pickled(folder / name)] == []
    assert (folder / "MODEL_CARD.md").read_text() == version.description
    assert "adctl.selected_on: none" in (folder / "MLmodel").read_text()
    needs = (folder / "requirements.txt").read_text()
    assert all(need in needs for need in requirements())


def test_projecting_again_after_the_store_forgot_makes_no_second_version(
    stories: Stories, tracker: MlflowTracker, bundle: Path
) -> None:
    champion = promoted(stories, bundle, "twice")
    models = MlflowModels(tracker)
    project(stories.store, stories.storage, models)
    job = stories.store.jobs.get(champion.job_id)
    first = models.version_of(champion)
    assert models.register(champion, job, bundle, None) == first
    found = tracker.client.search_model_versions(f"name = '{champion.model}'")
    assert [str(version.version) for version in found] == [first]


def test_uploads_that_no_version_uses_go_and_those_of_others_stay(
    stories: Stories, tracker: MlflowTracker, bundle: Path, tmp_path: Path
) -> None:
    champion = promoted(stories, bundle, "tidied")
    models = MlflowModels(tracker)
    project(stories.store, stories.storage, models)
    version = tracker.client.get_model_version_by_alias(champion.model, "champion")
    (tmp_path / "left").mkdir()
    (tmp_path / "left" / "half.bin").write_bytes(b"x")
    mine, other = f"champion-{champion.revision}-00000000", f"champion-{champion.revision + 1}-00000000"
    for place in (mine, other):
        tracker.client.log_artifacts(version.run_id, str(tmp_path / "left"), f"registered/{place}")
    Projection(stories.store, stories.storage, models)()
    uploads = {file.path for file in tracker.client.list_artifacts(version.run_id, "registered")}
    assert uploads == {f"registered/{other}", f"registered/{version.source.rpartition('/')[2]}"}


def test_who_is_overtaken_while_uploading_takes_the_version_of_the_quicker(
    stories: Stories, tracker: MlflowTracker, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    champion = promoted(stories, bundle, "overtaken")
    models, job = MlflowModels(tracker), stories.store.jobs.get(champion.job_id)

    def removed(*_: object) -> None:
        raise FileNotFoundError("somebody has removed what was being written")

    with monkeypatch.context() as patched:
        patched.setattr(tracker.client, "log_artifacts", removed)
        with pytest.raises(TrackingDown, match="removed what was being written"):
            models.register(champion, job, bundle, None)
    first = models.register(champion, job, bundle, None)
    monkeypatch.setattr(tracker.client, "log_artifacts", removed)
    assert models.register(champion, job, bundle, None) == first


def test_registering_never_imports_the_detectors_or_torch() -> None:
    code = (
        "import sys; from ad_platform.tracking.pyfunc import detectors_package, requirements; "
        "detectors_package(), requirements(); assert not {'ad_detectors', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert (detectors_package() / "api.py").is_file()
