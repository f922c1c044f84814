"""A model as it is registered: fitted, evaluated, promoted and packed, with the scores of its evaluation."""

import csv
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

import fitted as fitting
from ad_detectors import registry
from ad_detectors.determinism import using_threads
from ad_platform.records import Champion, Job
from ad_platform.registry.projection import project
from ad_platform.registry.promotion import promote
from ad_platform.specs import Json
from ad_platform.tracking.pyfunc import save_pyfunc
from job_stories import Stories

TINY: Mapping[str, Mapping[str, Json]] = {"ddad": {"steps": 2, "noise_step": 2, "skip": 1, "scale_images": 1}}


@dataclass(frozen=True)
class Packed:
    """The folder of a registered model, and what it was made from."""

    folder: Path
    fitted: fitting.Fitted

    @property
    def scores(self) -> dict[Path, float]:
        """Return the score that the evaluation gave each test picture."""
        with (self.fitted.results / "scores.csv").open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "test"]
        return {self.fitted.category / row["path"]: float(row["score"]) for row in rows}


class Folder:
    """A registry that keeps the newest model in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def version_of(self, champion: Champion) -> str | None:
        return None

    def register(self, champion: Champion, job: Job, bundle: Path, run_id: str | None) -> str:
        save_pyfunc(bundle, self.folder)
        return "1"

    def set_alias(self, champion: Champion, version: str) -> None:
        pass

    def tidy(self, champion: Champion, version: str) -> None:
        pass


def pack(folder: Path, detector: str = "pixel_mean") -> Packed:
    """Fit a detector to a few pictures on one thread, evaluate it, promote it and pack it."""
    with using_threads(1):
        fitted = fitting.fit(folder / "fit")
        if detector != "pixel_mean":
            (folder / "other").mkdir()
            fitted = fitting.fit_to(
                folder / "other",
                fitted.category,
                detector,
                registry.resolve(detector, "tiny", TINY[detector]),
            )
    (folder / "home").mkdir()
    stories = Stories(folder / "home")
    try:
        train = fitting.trained(stories.store, stories.storage, fitted)
        fitting.evaluated(stories.store, stories.storage, fitted, train)
        promote(stories.store, stories.storage, train, "champion", "ann", force=True, reason="to try it")
        project(stories.store, stories.storage, Folder(folder / "pyfunc"))
    finally:
        stories.store.close()
    return Packed(folder / "pyfunc", fitted)


def bare_environment(folder: Path, needs: Iterable[str]) -> Path:
    """Make a virtual environment that holds what some requirements need, and nothing else; return its Python.

    What is installed here is linked into it, which takes a moment where installing anew takes minutes.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    place = next((folder / "lib").glob("python*")) / "site-packages"
    for found in _closure(needs):
        for file in found.files or []:
            top = file.parts[0]
            source = Path(str(found.locate_file(top)))
            if top not in ("..", "__pycache__") and source.exists() and not (place / top).exists():
                (place / top).symlink_to(source)
    return folder / "bin" / "python"


def _closure(needs: Iterable[str]) -> list[Distribution]:
    found: dict[str, Distribution] = {}
    waiting = [Requirement(need) for need in needs]
    while waiting:
        need = waiting.pop()
        for extra in ("", *need.extras):
            key = f"{need.name.lower()}[{extra}]"
            if key in found:
                continue
            found[key] = distribution(need.name)
            for text in found[key].requires or []:
                deeper = Requirement(text)
                if deeper.marker is None or deeper.marker.evaluate({"extra": extra}):
                    waiting.append(deeper)
    return list(found.values())
