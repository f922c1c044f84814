"""What DDAD promises beyond the contract of every detector: results, scale, stops and restarts."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from ad_detectors.backbones import features
from ad_detectors.backbones.distance import feature_distance, pixel_distance
from ad_detectors.backbones.weights import Places
from ad_detectors.errors import ConfigError, NotFinite, StateError, WeightsNotFound
from ad_detectors.maps import blurred
from ad_detectors.ranks import Alone
from ad_detectors.zoo.ddad.config import PRESETS, SPACE, STAGES, Config
from ad_detectors.zoo.ddad.detector import DDAD
from ad_detectors.zoo.ddad.scale import PixelScale

# Of its own whatever decides the figures below: they hold still when a preset is changed.
BRIEF = replace(
    Config(**PRESETS["tiny"]),
    steps=3,
    batch_size=1,
    lr=1e-3,
    noise_levels=1000,
    w=1.0,
    noise_step=100,
    skip=50,
    blur_sigma=0.5,
)
WITH_FEATURES = replace(
    BRIEF, backbone="tf_efficientnet_lite0", feature_strides=(4, 8), steps=1, scale_images=12
)


class Pictures:
    """Smooth coloured pictures, different from each other and always the same."""

    def __init__(self, count: int = 10, size: int = 32) -> None:
        ramp = torch.linspace(0, 3, size)
        waves = [
            torch.sin(ramp[:, None] * (1 + i % 3) + i) + torch.cos(ramp * (2 + i % 2)) for i in range(count)
        ]
        grey = torch.stack(waves)[:, None].expand(-1, 3, -1, -1)
        tint = torch.tensor([40.0, 50.0, 30.0])[:, None, None]
        self.images = (128 + tint * grey).clamp(0, 255).to(torch.uint8)

    @property
    def size(self) -> tuple[int, int]:
        return self.images.shape[-2], self.images.shape[-1]

    @property
    def paths(self) -> Sequence[str]:
        return [f"train/good/{i}.png" for i in range(len(self))]

    def __len__(self) -> int:
        return len(self.images)

    def batch(self, indices: Sequence[int]) -> Tensor:
        return self.images[list(indices)]


class Stopped(Exception):
    """Raised from a report, as a cancelled or drained fit is."""


class Context:
    """Runs a fit in memory and may stop it at a report."""

    def __init__(
        self, detector: DDAD, *, seed: int = 5, stop: int | None = None, done: Sequence[str] = ()
    ) -> None:
        self.device, self.seed, self.autocast = torch.device("cpu"), seed, False
        self.ranks = Alone()
        self.detector, self.stop, self.done = detector, stop, list(done)
        self.reports: list[tuple[int, int]] = []
        self.losses: list[float] = []
        self.stopped_state: dict[str, object] = {}

    def begin(self, stage: str) -> bool:
        return stage not in self.done

    def end(self, stage: str) -> None:
        self.done.append(stage)

    def report(self, step: int, of: int, **metrics: float) -> None:
        self.reports.append((step, of))
        self.losses += metrics.values()
        if step == self.stop:
            self.stopped_state = dict(self.detector.state())
            raise Stopped


def fitted(config: Config = BRIEF, seed: int = 5) -> DDAD:
    detector = DDAD(config)
    detector.fit(Pictures(), Context(detector, seed=seed))
    return detector


@pytest.fixture(scope="module")
def brief() -> DDAD:
    torch.set_num_threads(1)
    return fitted()


@pytest.fixture(scope="module")
def with_features() -> DDAD:
    torch.set_num_threads(1)
    return fitted(WITH_FEATURES)


def same(a: object, b: object) -> bool:
    return torch.equal(a, b) if isinstance(a, Tensor) and isinstance(b, Tensor) else a == b


def assert_same_state(a: DDAD, b: DDAD) -> None:
    left, right = a.state(), b.state()
    assert left.keys() == right.keys()
    assert [key for key in left if not same(left[key], right[key])] == []


def test_a_fit_stopped_in_its_midst_or_at_its_last_step_ends_with_the_same_bits() -> None:
    config = replace(BRIEF, dropout=0.3)
    straight = fitted(config)
    for stop in (1, 3):
        first = DDAD(config)
        context = Context(first, stop=stop)
        with pytest.raises(Stopped):
            first.fit(Pictures(), context)
        second = DDAD(config)
        second.restore(context.stopped_state)
        rest = Context(second)
        second.fit(Pictures(), rest)
        assert rest.reports == [(step, 3) for step in range(stop + 1, 4)]
        assert_same_state(straight, second)


def test_the_scale_of_pixels_goes_on_from_the_batch_it_was_stopped_at(with_features: DDAD) -> None:
    first = DDAD(WITH_FEATURES)
    context = Context(first, stop=2)  # one step of training, then ten images in two batches
    with pytest.raises(Stopped):
        first.fit(Pictures(), context)
    assert context.reports == [(1, 3), (2, 3)]
    second = DDAD(WITH_FEATURES)
    second.restore(context.stopped_state)
    rest = Context(second, done=["denoiser", "features"])
    second.fit(Pictures(), rest)
    assert rest.reports == [(3, 3)]
    assert_same_state(with_features, second)


def test_with_a_stored_denoiser_only_the_later_stages_report(with_features: DDAD) -> None:
    stored = {key: value for key, value in with_features.state().items() if key.startswith("denoiser/")}
    detector = DDAD(replace(WITH_FEATURES, w=2.0))
    detector.restore(stored)
    context = Context(detector, done=["denoiser"])
    detector.fit(Pictures(), context)
    assert context.reports == [(1, 2), (2, 2)]
    assert detector.score(Pictures().images[:1]).images.isfinite().all()


def test_a_finished_fit_keeps_no_optimiser_and_an_unfinished_one_does(brief: DDAD) -> None:
    assert not [key for key in brief.state() if "training" in key or "fitting" in key]
    detector = DDAD(BRIEF)
    context = Context(detector, stop=2)
    with pytest.raises(Stopped):
        detector.fit(Pictures(), context)
    assert context.stopped_state["denoiser/training/step"] == 2
    again = DDAD(BRIEF)
    again.restore(context.stopped_state)
    kept = again.state()
    assert kept.keys() == context.stopped_state.keys()
    assert all(same(kept[key], context.stopped_state[key]) for key in kept)


def test_a_state_stays_what_it_was_while_training_goes_on() -> None:
    detector = DDAD(BRIEF)
    context = Context(detector, stop=1)
    with pytest.raises(Stopped):
        detector.fit(Pictures(), context)
    key = "denoiser/net/down.0.0.weight"
    kept = detector.state()[key]
    assert isinstance(kept, Tensor)
    copy = kept.clone()
    detector.fit(Pictures(), Context(detector))
    assert torch.equal(kept, copy)
    assert not torch.equal(detector.state()[key], copy)  # type: ignore[arg-type]


def test_the_loss_goes_down() -> None:
    config = replace(BRIEF, steps=8, batch_size=2, lr=2e-3)
    detector = DDAD(config)
    context = Context(detector)
    detector.fit(Pictures(), context)
    assert len(context.losses) == 8
    assert sum(context.losses[-4:]) < 0.9 * sum(context.losses[:4])


def test_fewer_images_than_a_batch_still_train() -> None:
    detector = DDAD(replace(BRIEF, steps=1, batch_size=3))
    context = Context(detector)
    detector.fit(Pictures(count=2), context)
    assert len(context.losses) == 1


def test_the_score_of_an_image_is_the_same_alone_permuted_and_batched(with_features: DDAD) -> None:
    images = Pictures(count=3).images
    order = torch.tensor([2, 0, 1])
    together, permuted = with_features.score(images), with_features.score(images[order])
    alone = with_features.score(images[1:2])
    assert torch.equal(together.images[order], permuted.images)
    assert together.maps is not None
    assert permuted.maps is not None
    assert alone.maps is not None
    assert torch.equal(together.maps[order], permuted.maps)
    assert torch.equal(alone.images[0], together.images[1])
    assert torch.equal(alone.maps[0], together.maps[1])


def test_maps_have_the_size_of_the_images_that_were_scored(brief: DDAD) -> None:
    scores = brief.score(torch.randint(0, 256, (2, 3, 50, 37), dtype=torch.uint8))
    assert scores.maps is not None
    assert scores.maps.shape == (2, 50, 37)
    assert scores.images.shape == (2,)
    assert scores.images.dtype == scores.maps.dtype == torch.float32


def test_scores_stay_finite_at_the_ends_of_the_range_of_w(brief: DDAD) -> None:
    extremes = torch.stack([torch.zeros(3, 32, 32), torch.full((3, 32, 32), 255.0)]).to(torch.uint8)
    for w in (0.0, 20.0):
        detector = DDAD(replace(BRIEF, w=w))
        detector.restore(brief.state())
        scores = detector.score(extremes)
        assert scores.maps is not None
        assert scores.images.isfinite().all()
        assert scores.maps.isfinite().all()


def test_what_the_reconstruction_lacks_stands_out_in_pixels_and_in_features() -> None:
    extractor = features.load("tf_efficientnet_lite0", (4, 8), places=Places())
    good = Pictures(count=1, size=64).images
    bad = good.clone()
    bad[:, :, 20:36, 20:36] = torch.tensor([255, 0, 255], dtype=torch.uint8)[:, None, None]
    image, rebuilt = bad / 127.5 - 1.0, good / 127.5 - 1.0
    for distances in (pixel_distance(image, rebuilt), feature_distance(extractor, image, rebuilt)):
        assert distances.shape == (1, 64, 64)
        assert distances[0, 20:36, 20:36].mean() > 4 * distances.mean()
        assert distances[0, 20:36, 20:36].max() == distances.max()


def test_results_do_not_change_unless_a_stage_gets_a_new_version(brief: DDAD, with_features: DDAD) -> None:
    """The golden figures of these versions: change them together with `version` in STAGES, or not at all."""
    assert [(stage.name, stage.version) for stage in STAGES] == [
        ("denoiser", 2),
        ("features", 2),
        ("score", 2),
    ]
    images = Pictures(count=2).images
    torch.testing.assert_close(brief.score(images).images, torch.tensor(GOLDEN_PIXELS), rtol=1e-2, atol=0.0)
    found = with_features.score(images).images
    torch.testing.assert_close(found, torch.tensor(GOLDEN_FEATURES), rtol=1e-2, atol=0.0)


GOLDEN_PIXELS = [0.54196, 0.51303]
GOLDEN_FEATURES = [3.12112, 2.98345]


def test_a_perfect_reconstruction_of_the_training_images_divides_by_no_zero() -> None:
    scale = PixelScale().seen(torch.zeros(2, 4, 4), torch.ones(2, 4, 4))
    assert scale.value == pytest.approx(1e4)


def test_the_scale_is_the_ratio_of_the_greatest_distances_over_all_batches() -> None:
    scale = PixelScale().seen(torch.tensor([[[0.2]]]), torch.tensor([[[0.3]]]))
    scale = scale.seen(torch.tensor([[[0.1]]]), torch.tensor([[[0.8]]]))
    assert scale.value == pytest.approx(4.0)


def test_a_distance_that_is_no_number_is_never_taken_for_a_scale() -> None:
    with pytest.raises(NotFinite):
        PixelScale().seen(torch.tensor([[[float("nan")]]]), torch.ones(1, 1, 1))


def test_blur_keeps_a_flat_map_flat_and_spreads_a_point_evenly() -> None:
    flat = torch.full((1, 32, 32), 0.7)
    torch.testing.assert_close(blurred(flat, 2.0), flat)
    point = torch.zeros(1, 33, 33)
    point[0, 16, 16] = 1.0
    spread = blurred(point, 2.0)[0]
    assert spread.sum() == pytest.approx(1.0, abs=1e-5)
    torch.testing.assert_close(spread, spread.T)
    assert torch.equal(blurred(point, 0.0), point)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"heads": 3}, "heads = 3 must divide base_channels = 32"),
        ({"noise_step": 10, "skip": 25}, "skip = 25 must be at most noise_step = 10"),
        ({"noise_levels": 200}, "noise_step = 250 must be at most noise_levels = 200"),
        (
            {"noise_levels": 200, "noise_step": 200, "backbone": "resnet18", "adapt_epochs": 1},
            "adapt_noise_step = 250 must be at most noise_levels = 200",
        ),
        ({"blur_sigma": 8.0}, "blur_sigma = 8.0 is too wide"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(change: dict[str, float], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Config(**{**PRESETS["tiny"], **change})


def test_what_is_searched_exists_and_lies_within_its_range() -> None:
    for field, space in SPACE.items():
        for end in ("low", "high"):
            settings = {**PRESETS["small"], "noise_levels": 1000, field: space[end]}
            assert getattr(Config(**settings), field) == space[end]


def test_weights_that_are_missing_stop_a_fit_before_its_first_step() -> None:
    detector = DDAD(replace(BRIEF, backbone="wide_resnet101_2.tv_in1k"))
    context = Context(detector)
    with pytest.raises(WeightsNotFound):
        detector.fit(Pictures(), context)
    assert context.reports == []


def test_an_unfitted_detector_does_not_score() -> None:
    with pytest.raises(StateError, match="not been fitted"):
        DDAD(BRIEF).score(Pictures(count=1).images)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("denoiser/net/down.0.0.weight", torch.zeros(1)),
        ("denoiser/net/nonsense", torch.zeros(1)),
        ("features/backbone", "resnet18"),
        ("score/seed", "x"),
        ("other/thing", 1),
    ],
)
def test_a_state_that_does_not_fit_is_refused(brief: DDAD, key: str, value: object) -> None:
    with pytest.raises(StateError):
        DDAD(BRIEF).restore({**brief.state(), key: value})  # type: ignore[dict-item]


@pytest.fixture(autouse=True)
def no_weights_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ADCTL_WEIGHTS", raising=False)
    monkeypatch.setattr("huggingface_hub.try_to_load_from_cache", lambda repo, file: None)
