"""Promises on configs, states and the files they become."""

# The name of a test says what it tests.
# ruff: noqa: D102

from __future__ import annotations

import json
from dataclasses import fields
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ad_detectors import checkpoint
from ad_detectors.config import build, to_json
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.testing.differences import assert_refused, nothing_is_unpickled
from ad_detectors.testing.pictures import pictures
from ad_detectors.testing.subject import Subject, digest

SAVED = {checkpoint.TENSORS, checkpoint.VALUES, checkpoint.CONFIG}


class FormPromises:
    """What can be said of a detector without looking at its numbers."""

    def test_its_config_survives_json_exactly(self, subject: Subject) -> None:
        flat = json.loads(json.dumps(to_json(subject.config)))
        assert build(subject.kind.Config, flat) == subject.config, f"{flat} gives another config"

    def test_a_setting_that_is_no_finite_number_is_refused(self, subject: Subject) -> None:
        flat = to_json(subject.config)
        for name, value in flat.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                for wrong in (float("nan"), float("inf"), -float("inf")):
                    made = partial(build, subject.kind.Config, {**flat, name: wrong})
                    assert_refused(made, f"{name} = {wrong}", ConfigError)

    def test_every_field_of_its_config_is_in_exactly_one_stage(self, subject: Subject) -> None:
        staged = sorted(field for stage in subject.stages for field in stage.fields)
        declared = sorted(field.name for field in fields(subject.kind.Config))
        assert staged == declared, f"the stages have the fields {staged}, the config {declared}"

    def test_its_state_is_plain_named_by_stage_and_free_of_leftovers(self, subject: Subject) -> None:
        stages = {stage.name for stage in subject.stages}
        for key, value in subject.straight.detector.state().items():
            assert isinstance(value, Tensor) or type(value) in (int, float, str, bool), (
                f"state['{key}'] is a {type(value).__name__}; keep tensors, numbers and strings alone"
            )
            assert key.partition("/")[0] in stages, f"state['{key}'] belongs to no stage of {sorted(stages)}"
            assert "/training/" not in key, f"state['{key}'] is of no use after the fit"

    def test_a_state_of_something_else_is_refused(self, subject: Subject) -> None:
        strange = {"nonsense": torch.zeros(1)}
        assert_refused(lambda: subject.new().restore(strange), "a state of something else", StateError)

    def test_nothing_is_scored_before_a_fit(self, subject: Subject) -> None:
        images = pictures(1, subject.config.image_size)
        assert_refused(lambda: subject.new().score(images), "scoring without a fit", StateError)

    def test_a_saved_detector_is_safetensors_and_json_and_nothing_is_unpickled_to_load_it(
        self, subject: Subject, tmp_path: Path
    ) -> None:
        state = subject.straight.detector.state()
        if subject.name:
            checkpoint.save_model(tmp_path, subject.name, subject.config, state)
        else:
            checkpoint.save(state, tmp_path)
        saved = {path.name for path in tmp_path.iterdir()}
        assert saved <= SAVED, f"{sorted(saved - SAVED)} should not be in a saved detector"
        with nothing_is_unpickled():
            loaded = checkpoint.load_model(tmp_path) if subject.name else subject.restored(tmp_path)
        assert digest(loaded.state()) == subject.straight.final, "saved and loaded, its state is another"
