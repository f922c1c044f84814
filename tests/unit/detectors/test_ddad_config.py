"""What the settings of DDAD promise, without torch: published figures and the length of an epoch."""

import pytest

from ad_detectors import registry
from ad_detectors.config import build
from ad_detectors.zoo.ddad.config import PUBLISHED, Config
from ad_detectors.zoo.ddad.published import AVERAGES, MVTEC_AD, VISA


def paper(category: str) -> Config:
    resolved = registry.resolve("ddad", "paper", {}, category)
    config = build(Config, resolved)
    assert isinstance(config, Config)
    return config


def test_every_published_category_is_there_with_its_figures() -> None:
    assert (len(MVTEC_AD), len(VISA)) == (15, 12)
    assert set(PUBLISHED["paper"].categories) == {*MVTEC_AD, *VISA}
    for rows, printed in ((MVTEC_AD, AVERAGES["MVTec AD"]), (VISA, AVERAGES["VisA"])):
        for measure, average in zip(("image_auroc", "pixel_auroc", "pro"), printed, strict=True):
            mean = sum(getattr(row, measure) for row in rows.values()) / len(rows)
            assert mean == pytest.approx(average, abs=0.06), measure  # a misread figure would move it


def test_a_category_of_mvtec_is_set_as_printed() -> None:
    screw = paper("screw")
    assert (screw.w, screw.epochs, screw.adapt_epochs) == (2.0, 2000, 4)
    assert (screw.v, screw.adapt_lambda, screw.batch_size, screw.adapt_batch_size) == (1.0, 0.1, 32, 16)
    assert (screw.image_size, screw.base_channels, screw.heads, screw.dropout) == (256, 64, 4, 0.0)
    assert (screw.lr, screw.weight_decay, screw.adapt_w) == (3e-4, 0.05, 3.0)
    assert (screw.noise_step, screw.skip, screw.eta) == (250, 25, 1.0)
    assert (screw.backbone, screw.feature_strides) == ("wide_resnet101_2.tv_in1k", (8, 16))
    assert (screw.adapt_strides, screw.compat) == ((4, 8, 16), False)


@pytest.mark.parametrize(
    ("category", "v", "adapt_batch"),
    [("candle", 7.0, 32), ("cashew", 1.5, 32), ("macaroni2", 7.0, 16), ("pcb1", 7.0, 16)],
)
def test_visa_differs_as_its_comments_say(category: str, v: float, adapt_batch: int) -> None:
    config = paper(category)
    assert (config.v, config.adapt_batch_size) == (v, adapt_batch)
    assert (config.adapt_lambda, config.compat_batch) == (0.01, 32)


def test_an_epoch_is_as_many_steps_as_whole_batches_and_at_least_one() -> None:
    screw = paper("screw")
    assert screw.train_steps(320) == 2000 * 10
    assert screw.train_steps(351) == 2000 * 10
    assert screw.train_steps(7) == 2000
    assert screw.adaptation_steps(320) == 4 * 20
    assert screw.adaptation_steps(3) == 4


def test_untouched_features_take_no_steps() -> None:
    assert paper("carpet").adaptation_steps(280) == 0
    assert not paper("carpet").adapts


def test_ddad_s_is_narrower_with_dropout_and_half_the_batch() -> None:
    small = build(Config, registry.resolve("ddad", "s", {}))
    assert (small.base_channels, small.heads, small.dropout, small.batch_size) == (32, 2, 0.3, 16)
    assert (small.image_size, small.backbone) == (256, "wide_resnet101_2.tv_in1k")
