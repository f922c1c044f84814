"""What the adaptation of DDAD's features promises; a fit keeps the detectors' contract with it as without."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from ad_detectors import registry
from ad_detectors.backbones import features
from ad_detectors.backbones.weights import Places
from ad_detectors.config import build
from ad_detectors.errors import ConfigError, StateError
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing import MemoryImages, Subject, digest, pictures
from ad_detectors.testing.fits import FitPromises
from ad_detectors.zoo.ddad.adaptation import adaptation_loss, adaptation_trajectory, pair
from ad_detectors.zoo.ddad.config import PRESETS, Config
from ad_detectors.zoo.ddad.detector import DDAD

ADAPTING: dict[str, Any] = {
    **PRESETS["tiny"],
    "steps": 1,
    "backbone": "tf_efficientnet_lite0",
    "feature_strides": [4, 8],
    "adapt_strides": [4, 8, 16],
    "adapt_epochs": None,
    "adapt_steps": 3,
    "adapt_batch_size": 2,
    "adapt_noise_step": 20,
    "adapt_skip": 20,
    "noise_step": 20,
    "skip": 20,
    "scale_images": 4,
}
IMAGES = MemoryImages(pictures(9, 32))
UNSCALED = {"compat": True}  # then there is no last stage that takes time
LITE0 = "tf_efficientnet_lite0"


@pytest.fixture(scope="module")
def subject() -> Subject:
    return Subject(DDAD, build(Config, ADAPTING), "ddad")


@pytest.mark.slow
class TestAdaptingDDAD(FitPromises):
    """Every promise of a fit, with a backbone that is adapted; scoring is no other for it."""


class Stopped(Exception):
    """Raised from a report, as a cancelled or drained fit is."""


class Listening(ContextCore):
    """Keeps what is reported, and stops where told to."""

    def __init__(self, detector: DDAD, *, stop: int = 0, done: Sequence[str] = (), step: int = 0) -> None:
        super().__init__(detector, torch.device("cpu"), 3, done=done, step=step)
        self.stop = stop
        self.told: dict[int, dict[str, float]] = {}

    def on_report(self, step: int, of: int, metrics: dict[str, float]) -> None:
        self.told[step] = {"of": float(of), **metrics}
        if step == self.stop:
            raise Stopped


@functools.cache
def denoiser() -> tuple[tuple[str, Any], ...]:
    """Return the finished first stage: all these tests go on from it."""
    detector = DDAD(build(Config, ADAPTING))
    with pytest.raises(Stopped):
        run_fit(detector, IMAGES, Listening(detector, stop=2))
    return tuple((key, value) for key, value in detector.state().items() if key.startswith("denoiser/"))


def begun(values: dict[str, Any]) -> DDAD:
    detector = DDAD(build(Config, ADAPTING | values))
    detector.restore(dict(denoiser()))
    return detector


def fitted(values: dict[str, Any]) -> tuple[DDAD, dict[int, dict[str, float]]]:
    detector = begun(values)
    context = Listening(detector, done=["denoiser"])
    run_fit(detector, IMAGES, context)
    return detector, context.told


def weights(detector: DDAD) -> dict[str, Tensor]:
    prefix = "features/net/"
    state = detector.state()
    return {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}  # type: ignore[misc]


def test_an_adaptation_stopped_at_every_report_ends_with_the_bits_of_one_never_stopped() -> None:
    straight = digest(fitted({})[0].state())
    state, done, step = dict(denoiser()), ["denoiser"], 0
    while step < 4:
        detector = DDAD(build(Config, ADAPTING))
        detector.restore(state)
        context = Listening(detector, stop=step + 1, done=done, step=step)
        torch.manual_seed(step)
        with pytest.raises(Stopped):
            run_fit(detector, IMAGES, context)
        state, done, step = dict(detector.state()), context.done, context.step
        assert ("features/training/step" in state) == (step < 4)
        again = DDAD(build(Config, ADAPTING))
        again.restore(state)
        assert digest(again.state()) == digest(state)
    run_fit(again, IMAGES, Listening(again, done=done, step=step))
    assert digest(again.state()) == straight


def test_each_step_reports_its_loss_and_counts_as_a_step_of_the_whole_fit() -> None:
    _, told = fitted({})
    assert [sorted(set(each) - {"of"}) for each in told.values()] == [
        *[["train/adaptation_loss"]] * 3,
        [],  # the scale of pixel distances
    ]
    assert list(told) == [1, 2, 3, 4]
    assert {each["of"] for each in told.values()} == {4.0}


def test_an_epoch_of_adaptation_has_no_step_for_a_batch_that_is_not_whole() -> None:
    _, told = fitted({"adapt_steps": None, "adapt_epochs": 1, "adapt_batch_size": 4})
    assert sum("train/adaptation_loss" in each for each in told.values()) == 9 // 4


def test_adaptation_changes_weights_and_batch_statistics_but_nothing_when_it_has_no_steps() -> None:
    untouched = features.load(LITE0, (4, 8), places=Places()).state_dict()
    none, _ = fitted({"adapt_steps": 0, **UNSCALED})
    assert weights(none).keys() == untouched.keys()
    assert all(torch.equal(tensor, untouched[name]) for name, tensor in weights(none).items())
    adapted = weights(fitted(UNSCALED)[0])
    changed = {name for name in untouched if not torch.equal(adapted[name], untouched[name])}
    assert {"model.conv_stem.weight", "model.bn1.running_mean", "model.bn1.running_var"} <= changed
    assert not changed & {"mean", "std"}


def test_layers_that_only_the_adaptation_saw_are_not_kept() -> None:
    deep, shallow = (
        UNSCALED | {"adapt_strides": strides, "adapt_steps": 1} for strides in ([4, 8, 16], [4, 8])
    )
    assert weights(fitted(deep)[0]).keys() == weights(fitted(shallow)[0]).keys()


def test_adaptation_brings_features_of_images_and_their_reconstructions_nearer() -> None:
    _, told = fitted(UNSCALED | {"adapt_steps": 9, "adapt_lr": 1e-3, "adapt_batch_size": 4})
    losses = [each["train/adaptation_loss"] for each in told.values() if "train/adaptation_loss" in each]
    assert len(losses) == 9
    assert sum(losses[-3:]) < 0.8 * sum(losses[:3])


def test_an_adaptation_does_not_go_on_from_other_weights_than_it_began_with() -> None:
    detector = begun({})
    context = Listening(detector, stop=1, done=["denoiser"])
    with pytest.raises(Stopped):
        run_fit(detector, IMAGES, context)
    state = dict(detector.state())
    assert state["features/training/step"] == 1
    again = DDAD(build(Config, ADAPTING))
    again.restore({**state, "features/training/origin": "0" * 64})
    with pytest.raises(StateError, match="other weights"):
        run_fit(again, IMAGES, Listening(again, done=context.done, step=1))


def test_halves_of_a_batch_are_targets_and_sources_or_each_image_is_both() -> None:
    images = torch.arange(6.0)[:, None]
    target, source = pair(images, same=False)
    assert target.flatten().tolist() == [0, 1, 2]
    assert source.flatten().tolist() == [3, 4, 5]
    assert all(torch.equal(each, images) for each in pair(images, same=True))


def test_the_loss_is_zero_where_nothing_differs_and_pulls_back_to_the_frozen_features() -> None:
    frozen = features.load(LITE0, (4, 8), places=Places())
    adapted = features.load(LITE0, (4, 8), places=Places())
    images = pictures(2, 32) / 127.5 - 1.0
    same = adaptation_loss(adapted, frozen, images, images, (4, 8), 0.1)
    assert float(same.detach()) == pytest.approx(0.0, abs=1e-5)
    with torch.no_grad():
        for parameter in adapted.parameters():
            parameter.mul_(-1.0)
    losses = [
        float(adaptation_loss(adapted, frozen, images, images, (4, 8), weight)) for weight in (0.0, 0.1, 0.2)
    ]
    assert losses[0] == pytest.approx(0.0, abs=1e-5)
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-3)
    assert losses[1] > 0.01


def test_the_adaptation_has_a_trajectory_of_its_own_unless_it_is_as_published() -> None:
    values = ADAPTING | {"noise_step": 200, "skip": 20, "eta": 0.5, "adapt_skip": 5, "adapt_w": 4.0}
    own = adaptation_trajectory(build(Config, values))
    assert (own.w, own.noise_step, own.skip, own.eta) == (4.0, 20, 5, 1.0)
    published = adaptation_trajectory(build(Config, values | {"compat": True}))
    assert (published.w, published.noise_step, published.skip, published.eta) == (4.0, 200, 20, 0.5)


def test_what_the_adaptation_depends_on_is_in_its_stage() -> None:
    known = registry.describe("ddad")
    own, published = (
        {stage.name: set(stage.fields) for stage in known.stages_of(build(Config, ADAPTING | {"compat": c}))}
        for c in (False, True)
    )
    trajectory = {"noise_step", "skip", "eta"}
    assert trajectory <= own["score"]
    assert trajectory <= published["features"]
    assert "w" in own["score"] & published["score"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"adapt_epochs": 1}, "adapt_steps = 3 and adapt_epochs = 1 are both given"),
        ({"adapt_steps": None}, "adapt_steps and adapt_epochs are both null"),
        ({"epochs": 2}, "steps = 1 and epochs = 2 are both given"),
        ({"feature_strides": [4, 32]}, "feature_strides has 32, deeper than anything adapted"),
        ({"adapt_strides": [32], "adapt_batch_size": 2}, "a single value at stride 32"),
        ({"adapt_skip": 60}, "adapt_skip = 60 must be at most adapt_noise_step = 20"),
        ({"adapt_batch_size": 5}, "adapt_batch_size = 5"),
    ],
)
def test_settings_of_the_adaptation_that_do_not_go_together_are_refused(
    change: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        build(Config, ADAPTING | change)


@pytest.fixture(autouse=True)
def no_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADCTL_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, file: None)
