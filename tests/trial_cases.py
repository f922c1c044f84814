"""Trials to try: their specs, detectors that learn in small steps, and what two runs have in common."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ad_detectors import catalogue, registry
from ad_platform.specs import JobSpec, Json
from ad_platform.states import JobKind
from ad_workers.context import AttemptContext
from desks import SIDE, spec_of

FIRST, TEST, PIXELS = "validation/image_auroc", "test/image_auroc", "test/pixel_auroc"


def add_learners(add: Callable[..., str]) -> None:
    """Put a detector of two stages into the zoo, one that declares none, and one that insists on a batch."""
    for name, file in (("gradual", "gradual_mean"), ("whole", "troublesome")):
        add(name, (Path(__file__).parent / f"{file}.py").read_text())
    source = (Path(__file__).parent / "gradual_mean.py").read_text()
    add("together", source.replace("    config: Config\n", "    config: Config\n    batch = 3\n", 1))


def asked(category: Path, *measures: str, detector: str = "gradual", **settings: Json) -> JobSpec:
    """Return the spec of a trial; gradual makes five steps and one for its second stage."""
    preset = "tiny" if "tiny" in catalogue.entry(detector)["presets"] else None
    return spec_of(
        JobKind.TRIAL,
        category,
        detector,
        config=registry.resolve(detector, preset, {"image_size": SIDE, **settings}),
        measures=measures or (FIRST,),
        holdout="20/10",
    )


def told(result: dict[str, Json]) -> dict[str, Json]:
    """Return what is the same whoever computes it."""
    metrics = result["metrics"]
    assert isinstance(metrics, dict)
    same: dict[str, Json] = {name: value for name, value in metrics.items() if name != "latency_ms"}
    return {"metrics": same, "rungs": result["rungs"], "images": result["images"]}


def fit_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by each step that any fit reports."""
    made: list[int] = []
    report = AttemptContext.on_report

    def counted(self: AttemptContext, step: int, of: int, metrics: dict[str, float]) -> None:
        made.append(step)
        report(self, step, of, metrics)

    monkeypatch.setattr(AttemptContext, "on_report", counted)
    return made
