"""A wheel built from a copy of the sources, and a light client installed from it outside the checkout."""

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

ROOT = Path(__file__).parents[3]
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "build_catalogue.py")
RECIPES = ("compose.yaml", "grafana.json", ".env.example", "Dockerfile", ".dockerignore", "constraints.txt")
ROOTS = ("platform", "workers", "detectors", "cli", "migrations")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


def clean_environment() -> dict[str, str]:
    """Return the environment without anything that would let the checkout shine through."""
    hidden = ("ADCTL_", "MLFLOW_", "PYTHON", "VIRTUAL_ENV", "PYTEST_")
    return {name: value for name, value in os.environ.items() if not name.startswith(hidden)}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    for name in BUILT_FROM + RECIPES:
        shutil.copy(ROOT / name, source)
    for name in ROOTS:
        # A catalogue left over from an earlier build must not be what the wheel ships.
        shutil.copytree(
            ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__", "catalogue.json")
        )
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist", "."]
    done = subprocess.run(
        command, cwd=source, env=clean_environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = (source / "dist").glob("adctl-*.whl")
    return built


@pytest.fixture(scope="session")
def light(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin folder of a new virtual environment that holds the wheel without extras."""
    folder = tmp_path_factory.mktemp("light client")
    venv.create(folder, with_pip=True, symlinks=True)
    command = [folder / "bin/python", "-m", "pip", "install", "--quiet"]
    command += ["-c", ROOT / "constraints.txt", wheel]
    done = subprocess.run(
        command, cwd=folder, env=clean_environment(), capture_output=True, text=True, check=False
    )
    if done.returncode != 0 and not os.environ.get("CI"):
        pytest.skip(f"the client's requirements cannot be had here: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    return folder / "bin"


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def adctl(light: Path, home: Path) -> Run:
    """Run the installed `adctl` in an empty folder, with an ADCTL_HOME of its own."""

    def run(*arguments: str, code: int = 0, at: Path = home) -> "subprocess.CompletedProcess[str]":
        done = subprocess.run(
            [light / "adctl", *arguments],
            cwd=home,
            env=clean_environment() | {"ADCTL_HOME": str(at / "adctl")},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done

    return run


@pytest.fixture(scope="session")
def category(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Draw a category in the layout of MVTec AD: five normal images and one with a spot."""
    folder = tmp_path_factory.mktemp("data") / "drawn" / "disc"
    for number, split in enumerate(["train"] * 4 + ["test"]):
        _draw(folder / split / "good" / f"{number:03}.png", number)
    _draw(folder / "test" / "spot" / "000.png", 0, spot=True)
    mask = folder / "ground_truth" / "spot" / "000_mask.png"
    mask.parent.mkdir(parents=True)
    picture = Image.new("L", (32, 32), 0)
    ImageDraw.Draw(picture).rectangle((14, 14, 17, 17), fill=255)
    picture.save(mask)
    return folder


def _draw(path: Path, shift: int, *, spot: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.new("RGB", (32, 32), (40 + shift, 40, 40))
    pen = ImageDraw.Draw(picture)
    pen.ellipse((6, 6, 25, 25), fill=(180, 180, 170 + shift))
    if spot:
        pen.rectangle((14, 14, 17, 17), fill=(20, 20, 20))
    picture.save(path)
