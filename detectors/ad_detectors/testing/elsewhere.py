"""What a detector does in another process: goes on with a fit, scores, and needs memory for it."""

from __future__ import annotations

import importlib
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from weakref import WeakKeyDictionary

import torch

from ad_detectors import checkpoint
from ad_detectors.config import build, to_json
from ad_detectors.fitting import run_fit
from ad_detectors.testing.pictures import pictures, with_defect
from ad_detectors.testing.subject import Broken, Subject, WatchedContext, digest, stir

CHILD_SECONDS = 240
FEW, MANY = 8, 64
HALF, WHOLE = "half", "whole"  # folders of a state in the midst of a fit, and after it


@dataclass(frozen=True)
class Answer:
    """What came of it in the other process."""

    final: str  # digest of the state after going on with the fit
    scores: str  # digest of the scores of `shown`
    peak_few: int  # bytes, after scoring a few pictures
    peak_many: int  # bytes, after scoring many

    @property
    def more(self) -> int:
        """Return how many bytes many pictures needed beyond what a few had needed."""
        return self.peak_many - self.peak_few


_answers: WeakKeyDictionary[Subject, Answer] = WeakKeyDictionary()


def asked(subject: Subject) -> Answer:
    """Return what came of it in another process, which is asked once for all tests of a subject."""
    if subject not in _answers:
        with TemporaryDirectory() as folder:
            _answers[subject] = _ask(subject, stopped_twice(subject), Path(folder))
    return _answers[subject]


def stopped_twice(subject: Subject) -> Broken:
    """Return a fit stopped after a third of its reports, gone on with, and stopped after two thirds."""
    reports = len(subject.straight.digests)
    first, second = max(1, reports // 3), 2 * reports // 3
    once = subject.stopped(first)
    return subject.stopped(second, once) if second > first else once


def _ask(subject: Subject, half: Broken, folder: Path) -> Answer:
    checkpoint.save(half.state, folder / HALF)
    checkpoint.save(subject.straight.detector.state(), folder / WHOLE)
    order = {
        "module": subject.kind.__module__,
        "class": subject.kind.__name__,
        "config": to_json(subject.config),
        "done": half.done,
        "step": half.step,
        "threads": torch.get_num_threads(),
        "folder": str(folder),
    }
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "ad_detectors.testing", "child", json.dumps(order)]
    ended = subprocess.run(
        command, env=paths, capture_output=True, text=True, timeout=CHILD_SECONDS, check=False
    )
    assert ended.returncode == 0, f"the other process failed:\n{ended.stderr}"
    return Answer(**json.loads(ended.stdout.splitlines()[-1]))


def answer(order: Mapping[str, Any]) -> str:
    """Do in this process what the order says; return an Answer as JSON."""
    torch.set_num_threads(order["threads"])
    stir(4)
    kind = getattr(importlib.import_module(order["module"]), order["class"])
    subject = Subject(kind, build(kind.Config, order["config"]))
    folder = Path(order["folder"])
    sys.addaudithook(_refuse_classes_from_pickles)
    detector = subject.restored(folder / WHOLE)
    scores = scored(detector, subject)
    # First, since a fit leaves a peak behind under which scoring could hide.
    detector.score(pictures(FEW, subject.config.image_size))
    few = _peak()
    detector.score(pictures(MANY, subject.config.image_size))
    many = _peak()
    half = subject.restored(folder / HALF)
    run_fit(half, subject.train(), WatchedContext(half, done=order["done"], step=order["step"]))
    return json.dumps(asdict(Answer(digest(half.state()), scores, few, many)))


def scored(detector: Any, subject: Subject) -> str:
    """Return a digest of the scores and maps of a few pictures that no fit has seen."""
    clean = pictures(2, subject.config.image_size, seed=21)
    scores = detector.score(torch.cat([clean, with_defect(clean)]))
    return digest({"images": scores.images} | ({} if scores.maps is None else {"maps": scores.maps}))


def _refuse_classes_from_pickles(event: str, arguments: tuple[object, ...]) -> None:
    if event == "pickle.find_class":
        raise RuntimeError(f"{arguments} was about to be unpickled, and a state must never be")


def _peak() -> int:
    """Return the most memory that this program ever had, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # There ru_maxrss begins with what the process had that started this one, which may hide everything.
        (line,) = (each for each in status.read_text().splitlines() if each.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most * 1024
