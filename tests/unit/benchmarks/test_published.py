"""The numbers that are shipped are those that were published, and are found by any spelling."""

import pytest

from ad_platform.benchmarks import published
from ad_platform.benchmarks.comparisons import Comparison, corrected, holm

METRICS = ("image_auroc", "pixel_auroc", "aupro_30")


@pytest.mark.parametrize(("dataset", "categories"), [("mvtec", 15), ("visa", 12)])
def test_the_published_averages_are_those_of_the_published_categories(dataset: str, categories: int) -> None:
    (ddad,) = published.methods_of([dataset])
    assert len(ddad.categories) == categories
    for metric in METRICS:
        values = [numbers[metric] for numbers in ddad.categories.values()]
        assert all(0.5 < value <= 1.0 for value in values)
        assert sum(values) / categories == pytest.approx(ddad.average[metric], abs=0.0005)
    assert ddad.selected_on == "test"
    assert "2305.15956" in ddad.source


@pytest.mark.parametrize(
    ("dataset", "category", "numbers"),
    [
        ("mvtec", "carpet", (0.993, 0.987, 0.939)),
        ("mvtec", "metal_nut", (1.0, 0.990, 0.911)),
        ("mvtec", "zipper", (1.0, 0.982, 0.932)),
        ("visa", "cashew", (0.945, 0.974, 0.803)),
        ("visa", "pipe_fryum", (1.0, 0.995, 0.947)),
    ],
)
def test_numbers_of_the_tables_stand_where_they_belong(
    dataset: str, category: str, numbers: tuple[float, ...]
):
    (ddad,) = published.methods_of([dataset])
    assert tuple(ddad.of(category, metric) for metric in METRICS) == numbers


def test_datasets_and_categories_are_known_by_any_spelling() -> None:
    assert [published.dataset_of(name) for name in ("MVTec_AD", "mvtec", "VisA", "mtd")] == [
        "mvtec",
        "mvtec",
        "visa",
        None,
    ]
    (ddad,) = published.methods_of(["MVTec-AD", "mtd"])
    assert ddad.of("Metal Nut", "image_auroc") == 1.0
    assert ddad.of("magnetic_tile", "image_auroc") is None
    assert published.methods_of(["mtd"]) == ()


def test_textures_and_objects_are_told_apart_as_in_the_table() -> None:
    kinds = [published.kind_of("mvtec", name) for name in published.categories_of("mvtec")]
    assert (kinds.count("texture"), kinds.count("object")) == (5, 10)
    assert published.kind_of("mvtec", "tile") == "texture"
    assert published.kind_of("mtd", "magnetic_tile") == ""


def test_holm_corrects_the_smallest_most_and_keeps_the_order() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_each_measure_is_corrected_among_its_own_tests_and_untested_ones_do_not_count() -> None:
    def one(metric: str, p: float | None) -> Comparison:
        return Comparison(first="a", second="b", category="c", metric=metric, p=p)

    found = corrected([one("x", 0.02), one("x", None), one("x", 0.03), one("y", 0.04)])
    assert [each.corrected for each in found] == [0.04, None, 0.04, 0.04]
    assert [each.tests for each in found] == [2, 0, 2, 1]
    assert [each.differs for each in found] == [True, False, True, True]
