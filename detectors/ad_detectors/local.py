"""Fit, score and evaluate on this machine alone: no store, no queue, no worker."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import torch

from ad_detectors import checkpoint, registry, stages
from ad_detectors.api import Detector
from ad_detectors.config import to_json
from ad_detectors.data import decoding
from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.images import train_images
from ad_detectors.data.layout import image_files, open_category
from ad_detectors.data.splits import DEFAULT, NONE, NOTHING, Holdout
from ad_detectors.device import choose
from ad_detectors.errors import DataError, StateError
from ad_detectors.evaluation import Evaluation, evaluate, split_images
from ad_detectors.fitting import ContextCore, run_fit

if TYPE_CHECKING:
    from ad_detectors.api import State

Told: TypeAlias = Callable[[int, int, dict[str, float]], None]  # step, of, metrics

ABOUT = "fit.json"  # what a checkpoint is of; written before, so that it is never taken for another


@dataclass(frozen=True)
class ImageScore:
    """One picture and how anomalous it is."""

    path: Path
    score: float


class LocalContext(ContextCore):
    """Runs a fit in this process, with checkpoints every few reports if it is given a folder."""

    def __init__(
        self,
        detector: Detector,
        *,
        device: torch.device | str = "cpu",
        seed: int = 0,
        autocast: bool = False,
        folder: Path | None = None,
        every: int = 100,
        about: Mapping[str, Any] | None = None,
        stage_store: Path | None = None,
        keys: Mapping[str, str] | None = None,
        told: Told | None = None,
    ) -> None:
        """Take up the newest checkpoint in `folder`, if there is one.

        `about` says what the fit is of; a checkpoint of something else raises StateError. With `stage_store`
        and `keys` (of `stages.keys`) finished stages are kept and found again there.
        """
        super().__init__(detector, torch.device(device), seed, autocast)
        self.folder, self.every, self.told = folder, every, told
        self.about = dict(about or {})
        self.stage_store, self.keys = stage_store, dict(keys or {})
        if folder is not None:
            self._resume(folder)

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        """Pass the report on, and write a checkpoint when due."""
        if self.told is not None:
            self.told(step, of, metrics)
        if self.folder is not None and (step % self.every == 0 or step == of):
            self.write_checkpoint()

    def find_stage(self, stage: str) -> State | None:
        """Return the result of a stage that an earlier fit stored."""
        folder = self._stage_folder(stage)
        return checkpoint.load(folder) if folder is not None and folder.is_dir() else None

    def store_stage(self, stage: str, state: State) -> None:
        """Keep the result of a stage for later fits."""
        folder = self._stage_folder(stage)
        if folder is not None and not folder.is_dir():
            _publish(folder, state)

    def write_checkpoint(self) -> None:
        """Write the state as it is now, then drop the older checkpoints."""
        assert self.folder is not None
        newest = self.folder / f"{self.step:09d}"
        own: dict[str, int | str] = {
            "local/step": self.step,
            "local/done": json.dumps(self.done),
            "local/about": _text(self.about),
        }
        _publish(newest, dict(self.detector.state()) | own)
        for older in _checkpoints(self.folder)[:-1]:
            shutil.rmtree(older)

    def _resume(self, folder: Path) -> None:
        found = _checkpoints(folder)
        if not found:
            return
        state: dict[str, Any] = dict(checkpoint.load(found[-1]))
        step, done, about = (state.pop(f"local/{name}") for name in ("step", "done", "about"))
        if about != _text(self.about):
            raise StateError(
                f"{folder} holds a checkpoint of another fit; remove it or choose another folder"
            )
        self.detector.restore(state)
        self.restored(step=int(str(step)), done=json.loads(str(done)))

    def _stage_folder(self, stage: str) -> Path | None:
        if self.stage_store is None or stage not in self.keys:
            return None
        return self.stage_store / self.keys[stage]


def fit_local(
    name: str,
    config: Any,
    category_path: Path,
    out: Path,
    *,
    seed: int = 0,
    device: str = "auto",
    threads: int | None = None,
    every: int = 100,
    holdout: Holdout = DEFAULT,
    told: Told | None = None,
    selected_on: str = "none",
) -> Detector:
    """Fit a detector and write it to `out`, going on from a checkpoint that an interrupted call left there.

    `selected_on` says which images the settings were chosen by; a published preset's were chosen on "test".

    A call with the same arguments after the fit has ended returns the fitted detector from `out`.
    """
    chosen = choose(device)
    if threads is not None:
        torch.set_num_threads(threads)
    category = open_category(category_path)
    detector = registry.create(name, config)
    size = detector.config.image_size
    known = fingerprint(category.path, out / "cache" / "fingerprints.json")
    flat = to_json(detector.config)
    about = {
        "detector": registry.describe(name).name,
        "config": flat,
        "fingerprint": known,
        "holdout": holdout.text,
        "seed": seed,
        "precision": chosen.precision,
        "threads": torch.get_num_threads(),
    }
    if (out / checkpoint.CONFIG).exists() and _read(out / ABOUT) == _text(about):
        return checkpoint.load_model(out, chosen.device)
    labels = registry.describe(name).supervised
    images = train_images(category, size, out / "cache", known, holdout, labels=labels)
    context = LocalContext(
        detector,
        device=chosen.device,
        seed=seed,
        autocast=chosen.autocast,
        folder=out / "checkpoints",
        every=every,
        about=about,
        stage_store=out / "stages",
        keys=stages.keys(
            name, flat, fingerprint=known, split=holdout.key, precision=chosen.precision, seed=seed
        ),
        told=told,
    )
    run_fit(detector, images, context)
    checkpoint.save_model(out, name, detector.config, detector.state(), selected_on)
    (out / ABOUT).write_text(_text(about))
    shutil.rmtree(out / "checkpoints", ignore_errors=True)
    detector.to(chosen.device)
    return detector


def score_local(detector: Detector, pictures: Iterable[Path], batch: int = 8) -> list[ImageScore]:
    """Score picture files, and every picture directly in a folder; raise DataError naming a bad one."""
    files = [file for path in pictures for file in (image_files(path) if path.is_dir() else [path])]
    if not files:
        raise DataError("there are no pictures to score; name files, or folders that hold some")
    size = detector.config.image_size
    batch = detector.batch or batch
    result: list[ImageScore] = []
    for start in range(0, len(files), batch):
        chunk = files[start : start + batch]
        pixels = torch.stack([torch.from_numpy(decoding.picture(file, size)) for file in chunk])
        scores = detector.score(pixels).images.tolist()
        result += [ImageScore(file, score) for file, score in zip(chunk, scores, strict=True)]
    return result


def evaluate_local(
    detector: Detector, category_path: Path, cache: Path, holdout: Holdout = NONE
) -> Evaluation:
    """Evaluate a fitted detector on the test split of a category, and on the normal pictures it held out."""
    category = open_category(category_path)
    known = fingerprint(category.path, cache / "fingerprints.json")
    images = split_images(category, detector.config.image_size, cache, known, holdout)
    return evaluate(detector, images.test, validation=images.validation, calibration=images.calibration)


def holdout_of(model: Path) -> Holdout:
    """Return what `fit_local` held out when it fitted the detector in this folder; raise DataError."""
    text = _read(model / ABOUT)
    if not text:
        raise DataError(f"{model} has no {ABOUT}, so it does not say what was held out; fit it again")
    return Holdout.parse(str(json.loads(text).get("holdout", NOTHING)))


def _publish(folder: Path, state: State) -> None:
    """Write a state so that its folder is there whole or not at all."""
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    checkpoint.save(state, temporary)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.replace(folder)


def _checkpoints(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.name.isdigit())


def _text(value: Mapping[str, Any]) -> str:
    return json.dumps(value, sort_keys=True, indent=1)


def _read(path: Path) -> str:
    return path.read_text() if path.exists() else ""
