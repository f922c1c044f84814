"""A registered model gives the platform's scores, to the bit, where the platform was never installed."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from mlflow_home import QUIET
from served import Packed, bare_environment, pack

pytestmark = [pytest.mark.filterwarnings(words) for words in QUIET]
ABSENT = {"adctl", "celery", "kombu", "redis", "optuna"}  # SQLAlchemy is there: MLflow brings it
ASK = """
import importlib.metadata, importlib.util, json, sys, warnings
OURS = ("ad_platform", "ad_workers", "ad_migrations", "ad_cli")
warnings.simplefilter("ignore")
from pathlib import Path
import mlflow.pyfunc
model = mlflow.pyfunc.load_model(sys.argv[1])
paths = [Path(path) for path in json.load(sys.stdin)]
scores = [answer["score"] for answer in model.predict(paths)]
alone = [model.predict(path)[0]["score"] for path in reversed(paths)]
print(json.dumps({
    "scores": scores,
    "alone": alone[::-1],
    "code": sys.modules["ad_detectors"].__file__,
    "installed": sorted({each.metadata["Name"].lower() for each in importlib.metadata.distributions()}),
    "importable": [name for name in OURS if importlib.util.find_spec(name)],
}))
"""


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Packed:
    return pack(tmp_path_factory.mktemp("ddad"), "ddad")  # its scores depend on noise, threads and rounding


def needs(packed: Packed) -> list[str]:
    return (packed.folder / "requirements.txt").read_text().split()


def ask(python: Path, script: str, packed: Packed, **more: str) -> Mapping[str, object]:
    """Run a script in another environment, with nothing of ours on its path but what `more` says."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "TMPDIR")}
    done = subprocess.run(
        [python, "-c", script, packed.folder],
        input=json.dumps([str(path) for path in packed.scores]),
        env={**kept, **more},
        cwd=packed.folder.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_the_requirements_of_a_model_are_enough_for_the_platforms_scores(
    packed: Packed, tmp_path: Path
) -> None:
    python = bare_environment(tmp_path / "bare", needs(packed))
    found = ask(python, ASK, packed)
    assert len(set(packed.scores.values())) > 1
    assert found["scores"] == list(packed.scores.values())
    assert found["alone"] == found["scores"]
    assert str(found["code"]).startswith(str(packed.folder))
    assert found["importable"] == []
    assert not ABSENT & {*found["installed"]}  # type: ignore[misc]


LIBRARY = """
import json, sys
sys.path.insert(0, sys.argv[1] + "/code")
from ad_detectors import load
from ad_detectors.errors import DataError
model = load(sys.argv[1])
results = model.predict(json.load(sys.stdin))
try:
    load("models:/parts-screw@champion")
except DataError as error:
    said = str(error)
print(json.dumps({"scores": [each.score for each in results], "said": said,
                  "loaded": sorted({name.partition(".")[0] for name in sys.modules})}))
"""


def test_the_library_needs_neither_mlflow_nor_a_service(packed: Packed, tmp_path: Path) -> None:
    library = [need for need in needs(packed) if not need.startswith("mlflow")]
    found = ask(bare_environment(tmp_path / "bare", library), LIBRARY, packed)
    assert found["scores"] == list(packed.scores.values())
    assert "pip install mlflow" in str(found["said"])
    assert not {"mlflow", "sqlalchemy", "scipy", "sklearn", "pandas"} & {*found["loaded"]}  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_new_virtual_environment_of_the_requirements_gives_the_platforms_scores(
    packed: Packed, tmp_path: Path
) -> None:
    python = tmp_path / "new" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "new"], check=True)
    install = [python, "-m", "pip", "install", "--quiet", "-r", packed.folder / "requirements.txt"]
    subprocess.run(install, check=True, cwd=tmp_path)
    listed = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True
    )
    names = {each["name"].lower() for each in json.loads(listed.stdout)}
    assert not ABSENT & names
    found = ask(python, ASK, packed)
    assert found["scores"] == list(packed.scores.values())
    assert found["alone"] == found["scores"]
