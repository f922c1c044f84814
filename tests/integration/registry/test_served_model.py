"""A promoted model, loaded from MLflow's registry as anybody would."""

import base64
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ad_platform.records import Champion
from ad_platform.registry.projection import project
from ad_platform.registry.promotion import promote
from ad_platform.settings import Settings
from ad_platform.tracking.mlflow import MlflowTracker
from ad_platform.tracking.models import MlflowModels, detectors_package, requirements
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


def promoted(stories: Stories, bundle: Path, category: str) -> Champion:
    job = stories.submit(category=category)
    done = stories.succeed(stories.lease(job), bundle, {})
    stories.evaluated(done, 0.9)
    return promote(stories.store, stories.storage, done, "champion", "ann", reason="the first")


def test_a_promoted_model_gives_the_scores_of_its_detector(
    stories: Stories, tracker: MlflowTracker, settings: Settings, bundle: Path, tmp_path: Path
) -> None:
    champion = promoted(stories, bundle, "served")
    assert project(stories.store, stories.storage, MlflowModels(tracker)) == 1
    paths = pictures(tmp_path / "new", 2)

    import mlflow
    import pandas as pd
    import torch

    from ad_detectors.checkpoint import load_model

    mlflow.set_tracking_uri(settings.tracking_uri)
    model = mlflow.pyfunc.load_model(f"models:/{champion.model}@champion")
    arrays = [np.asarray(Image.open(path)) for path in paths]
    images = torch.stack([torch.from_numpy(array.copy()).permute(2, 0, 1) for array in arrays])
    expected = load_model(bundle).score(images).images.tolist()
    assert len(set(expected)) == 2
    texts = [str(path) for path in paths]
    assert model.predict(texts) == expected
    assert model.predict(pd.DataFrame({"image": texts})) == expected
    assert model.predict([base64.b64encode(path.read_bytes()).decode() for path in paths]) == expected
    assert model.predict(np.stack(arrays)) == expected
    assert model.predict(arrays[1]) == expected[1:]
    for wrong in (["/no/such.png"], ["!"], [np.zeros((4, 4))], [np.zeros((4, 4, 3)) - 1.0], ["aGVsbG8="]):
        with pytest.raises(ValueError, match=r"image 0: .*give paths of images"):
            model.predict(wrong)
    with pytest.raises(ValueError, match="expected one column"):
        model.predict(pd.DataFrame({"a": texts, "b": texts}))


def test_a_version_carries_code_weights_and_requirements_and_no_pickle(
    stories: Stories, tracker: MlflowTracker, bundle: Path, tmp_path: Path
) -> None:
    champion = promoted(stories, bundle, "carried")
    project(stories.store, stories.storage, MlflowModels(tracker))
    client = tracker.client
    version = client.get_model_version_by_alias(champion.model, "champion")
    assert version.tags["adctl.job_id"] == champion.job_id
    assert version.tags["adctl.revision"] == "1"
    assert version.description.startswith("the first\n\n**")
    assert "settings selected on: **none**" in version.description
    assert version.tags["adctl.selected_on"] == "none"
    assert stories.store.champions.current(champion.model, "champion").published == str(version.version)  # type: ignore[union-attr]
    place = f"registered/champion-{champion.revision}"
    folder = Path(client.download_artifacts(version.run_id, place, str(tmp_path)))
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert {"code/ad_detectors/api.py", "code/ad_detectors/zoo/ddad/config.py"} <= files
    assert any(name.endswith("state.safetensors") for name in files)
    assert not any(name.endswith((".pkl", ".pickle", ".pyc", ".pt")) for name in files)
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
    assert models.register(champion, job, bundle) == first
    found = tracker.client.search_model_versions(f"name = '{champion.model}'")
    assert [str(version.version) for version in found] == [first]


def test_registering_never_imports_the_detectors_or_torch() -> None:
    code = (
        "import sys; from ad_platform.tracking.models import detectors_package, requirements; "
        "detectors_package(), requirements(); assert not {'ad_detectors', 'torch'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": ":".join(sys.path)})
    assert (detectors_package() / "api.py").is_file()
