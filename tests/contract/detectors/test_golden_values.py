"""Results that move without a new stage version are noticed, and a version without golden values too."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

import gradual_mean
from ad_detectors import registry
from ad_detectors.api import FitContext, Images, Scores, Stage
from ad_detectors.testing import Subject
from ad_detectors.testing.commands import compared, main, record
from ad_detectors.testing.golden import Golden, StageValues, complaint, measured
from gradual_mean import Config, GradualMean

FOLDER = Path(__file__).parent / "golden"
FILES = sorted(FOLDER.glob("*.json"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_detector_gives_its_golden_values(path: Path) -> None:
    found = compared(Golden.read(path))
    assert found is None, found and found.text


@pytest.mark.parametrize("name", registry.built_in())
def test_every_detector_has_golden_values_for_every_stage(name: str) -> None:
    path = FOLDER / f"{name}.json"
    assert path.exists(), f"record some: python -m ad_detectors.testing record {name}"
    golden = Golden.read(path)
    assert golden.detector == name
    assert [stage.name for stage in golden.stages] == [stage.name for stage in registry.describe(name).stages]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_golden_values_are_few_enough_to_be_read(path: Path) -> None:
    assert path.stat().st_size < 8000


# How golden values are compared, shown on a detector with the stages "mean" and "score".


class Moves(GradualMean):
    """Learns a little otherwise."""

    def _learn(self, data: Images, ctx: FitContext) -> None:
        ctx.seed += 1
        super()._learn(data, ctx)


class ScoresMore(GradualMean):
    """Scores a little otherwise."""

    def score(self, images: Tensor) -> Scores:
        scores = super().score(images)
        return Scores(scores.images * 1.02, scores.maps)


class TurnsRound(GradualMean):
    """Gives numbers of the same size in another order."""

    def _learn(self, data: Images, ctx: FitContext) -> None:
        super()._learn(data, ctx)
        mean = self.values["mean/pixels"]
        assert isinstance(mean, Tensor)
        self.values["mean/pixels"] = mean.flip(2)


@pytest.fixture(scope="module")
def recorded() -> Golden:
    return measured(Subject(GradualMean, Config()))


def of(kind: type[GradualMean]) -> Golden:
    return measured(Subject(kind, Config()))


def test_the_same_code_gives_the_same_values_at_any_thread_count(recorded: Golden) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert of(GradualMean) == recorded
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_a_stage_that_moved_is_named_with_what_to_do(recorded: Golden) -> None:
    found = complaint(recorded, of(Moves))
    assert found is not None
    assert found.unannounced
    for words in (
        "stage 'mean' gives other results: first train/loss is ",
        "raise its version in STAGES from 1 to 2",
        "python -m ad_detectors.testing record",
    ):
        assert words in found.text
    assert "\n" not in found.text


@pytest.mark.parametrize(
    ("kind", "stage", "value"),
    [(ScoresMore, "score", "score of clean 0"), (TurnsRound, "mean", "pattern of pixels")],
)
def test_scores_and_order_are_minded_too(
    recorded: Golden, kind: type[GradualMean], stage: str, value: str
) -> None:
    found = complaint(recorded, of(kind))
    assert found is not None
    assert f"stage '{stage}' gives other results" in found.text
    assert value in found.text


def test_a_raised_version_wants_new_values_whether_or_not_results_moved(
    recorded: Golden, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = gradual_mean.STAGES
    monkeypatch.setattr(gradual_mean, "STAGES", (first, Stage(second.name, second.fields, version=2)))
    for kind in (GradualMean, ScoresMore, Moves):
        found = complaint(recorded, of(kind))
        assert found is not None
        assert "stage 'score' has version 2, for which there are no golden values; record" in found.text
        assert not found.unannounced


def test_what_processors_round_otherwise_is_not_minded(recorded: Golden) -> None:
    stages = tuple(
        StageValues(
            stage.name, stage.version, {name: value * (1 + 2e-5) for name, value in stage.values.items()}
        )
        for stage in recorded.stages
    )
    scores = {name: value * (1 - 2e-4) for name, value in recorded.scores.items()}
    assert complaint(recorded, replace(recorded, stages=stages, scores=scores)) is None


def test_moved_results_are_recorded_only_with_a_new_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, module = tmp_path / "pixel_mean.json", sys.modules[registry.detector_class("pixel_mean").__module__]
    assert main(["record", "pixel_mean", "--folder", str(tmp_path), "-S", "image_size=16"]) == 0
    assert main(["check", "--folder", str(tmp_path)]) == 0
    before = path.read_text()
    assert Golden.read(path).settings == {"image_size": 16}

    golden = Golden.read(path)
    first = golden.stages[0]
    moved = {name: value * 1.1 for name, value in first.values.items()}
    replace(golden, stages=(replace(first, values=moved), *golden.stages[1:])).write(path)
    assert main(["check", "--folder", str(tmp_path)]) == 1
    assert main(["record", "pixel_mean", "--folder", str(tmp_path)]) == 1
    assert "stage 'moments' gives other results" in capsys.readouterr().err
    assert path.read_text() != before

    monkeypatch.setattr(
        module, "STAGES", tuple(replace(stage, version=stage.version + 1) for stage in module.STAGES)
    )
    assert main(["record", "pixel_mean", "--folder", str(tmp_path)]) == 0
    assert main(["check", "--folder", str(tmp_path)]) == 0
    assert Golden.read(path).stages[0].version == golden.stages[0].version + 1
    assert Golden.read(path).stages[0].values == golden.stages[0].values


def test_a_recorded_config_that_is_none_any_more_asks_for_new_values(tmp_path: Path) -> None:
    path = tmp_path / "pixel_mean.json"
    assert record("pixel_mean", path, {"image_size": 16}) is None
    golden = Golden.read(path)
    found = compared(replace(golden, config={**golden.config, "gone": 1}))
    assert found is not None
    assert "no setting 'gone'" in found.text
    assert "record pixel_mean" in found.text
