"""The notebooks of the guide run from the first cell to the last, in a home of their own, offline."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from services import unavailable

NOTEBOOKS = sorted((Path(__file__).parents[3] / "docs" / "notebooks").glob("*.ipynb"))
# In a process of its own: what Jupyter warns of is no concern of ours.
EXECUTE = """
import sys
import nbformat
from nbclient import NotebookClient
source, target, folder = sys.argv[1:]
notebook = nbformat.read(source, as_version=4)
place = {"metadata": {"path": folder}}
try:
    NotebookClient(notebook, timeout=600, kernel_name="python3", resources=place).execute()
finally:
    nbformat.write(notebook, target)
"""


def printed(notebook: dict[str, Any]) -> str:
    """Return what all cells printed."""
    found = []
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain") or ""
            found.append("".join(text))
    return "\n".join(found)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_kept_without_outputs(path: Path) -> None:
    cells = json.loads(path.read_text())["cells"]
    assert cells
    assert all(cell.get("outputs", []) == [] and cell.get("execution_count") is None for cell in cells)


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Give a folder with a short name, where sockets may lie, and stop what was started there."""
    with tempfile.TemporaryDirectory(prefix="nb-", ignore_cleanup_errors=True) as name:
        yield Path(name)
        for home in Path(name).glob("*/home"):
            down = [sys.executable, "-m", "ad_cli", "down"]
            env = {**os.environ, "ADCTL_HOME": str(home), "TMPDIR": name}
            subprocess.run(
                down, env={**env, "PYTHONPATH": os.pathsep.join(sys.path)}, check=False, timeout=60
            )


# Half a minute on an idle machine; a busy one takes many times that to start the services.
@pytest.mark.timeout(900)
def test_the_first_steps_lead_to_a_champion(scratch: Path, tmp_path: Path) -> None:
    if any(find_spec(name) is None for name in ("nbclient", "ipykernel")):
        unavailable("notebooks cannot be run here: pip install nbclient ipykernel")
    source = next(path for path in NOTEBOOKS if path.stem == "first_steps")
    target = tmp_path / "done.ipynb"
    env = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("ADCTL_", "MLFLOW_"))},
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": str(scratch),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "JUPYTER_CONFIG_DIR": str(tmp_path / "config"),
        "HOME": str(tmp_path),
    }
    command = [sys.executable, "-c", EXECUTE, str(source), str(target), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=840, env=env)

    text = printed(json.loads(target.read_text())) if target.exists() else ""
    assert done.returncode == 0, f"{text}\n{done.stderr[-3000:]}"
    assert "did you mean pixel_mean?" in text
    assert "pixel_mean-parts-screw@champion is job" in text
    assert "image AUROC" in text
    assert "state.safetensors" in text
