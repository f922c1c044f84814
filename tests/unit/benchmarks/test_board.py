"""Means say of how many cells they are, and what stands on a board is escaped where it is printed."""

from dataclasses import replace
from statistics import stdev

import pytest

from ad_platform.benchmarks import scores
from ad_platform.benchmarks.board import boards
from ad_platform.benchmarks.formats import as_csv, as_latex, as_markdown
from ad_platform.benchmarks.leaderboard import leaderboard, percent
from ad_platform.benchmarks.viewing import CellView
from ad_platform.states import JobState
from benchmark_cases import CATEGORIES, Yard, data

METRIC = "image_auroc"


def cell(seed: int, value: float | None, category: str = "screw", selected_on: str = "none") -> CellView:
    state = JobState.FAILED if value is None else JobState.SUCCEEDED
    metrics = {} if value is None else {METRIC: value}
    return CellView(
        model="m", category=category, seed=seed, state=state, metrics=metrics, selected_on=selected_on
    )


def test_a_score_is_mean_and_deviation_over_seeds() -> None:
    found = scores.of_cells([cell(0, 0.8), cell(1, 0.9), cell(2, 1.0)], METRIC)
    assert (found.mean, found.deviation) == (pytest.approx(0.9), pytest.approx(0.1))
    assert percent(found) == "90.0 ± 10.0"
    assert percent(scores.of_cells([cell(0, 0.8)], METRIC)) == "80.0"


def test_a_missing_cell_is_counted_beside_the_mean() -> None:
    some = scores.of_cells([cell(0, 0.8), cell(1, None)], METRIC)
    assert percent(some) == "80.0 (1/2)"
    none = scores.of_cells([cell(0, None), cell(1, None)], METRIC)
    assert percent(none) == "failed (0/2)"
    waiting = scores.of_cells([replace(cell(0, None), state=JobState.QUEUED)], METRIC)
    assert percent(waiting) == "- (0/1)"
    assert percent(scores.of_cells([], METRIC)) == "-"


def test_an_average_weighs_categories_alike_and_deviates_as_the_averages_of_seeds_do() -> None:
    screw = [cell(0, 0.8), cell(1, 0.9)]
    carpet = [cell(0, 0.6, "carpet"), cell(1, 0.9, "carpet")]
    found = scores.average([screw, carpet], METRIC)
    assert found.mean == pytest.approx(0.8)
    assert found.deviation == pytest.approx(stdev([0.7, 0.9]))
    assert found.whole
    part = scores.average([screw, [cell(0, 0.6, "carpet"), cell(1, None, "carpet")]], METRIC)
    assert part.mean == pytest.approx((0.85 + 0.6) / 2)
    assert part.deviation is None  # only one seed has a result on each category
    assert percent(part) == "72.5 (3/4)"


def test_what_test_images_chose_is_marked() -> None:
    assert percent(scores.of_cells([cell(0, 0.8, selected_on="test")], METRIC)) == "80.0*"
    assert percent(scores.average([[cell(0, 0.8)], [cell(0, 0.9, "c", "test")]], METRIC)) == "85.0*"


def test_a_board_is_in_the_order_of_the_published_table_with_textures_and_objects_apart(yard: Yard) -> None:
    made = yard.submit()
    yard.work()
    (board,) = boards([yard.view(made)])
    (table,) = leaderboard(board, [METRIC]).tables
    assert [row.name for row in table.rows] == [
        "carpet",
        "grid",
        "screw",
        "textures (2)",
        "objects (1)",
        "average (3)",
    ]
    assert table.headers == ("toy", "other", "DDAD (published)")


def test_another_dataset_has_a_board_of_its_own_without_published_numbers(yard: Yard) -> None:
    mtd = data("magnetic_tile", "mtd")
    yard.hold([mtd])
    made = yard.submit(categories=[CATEGORIES[0], mtd])
    yard.work()
    first, second = boards([yard.view(made)])
    assert (first.dataset, second.dataset) == ("mvtec", "mtd")
    (table,) = leaderboard(second, [METRIC]).tables
    assert table.headers == ("toy", "other")
    assert [row.name for row in table.rows] == ["magnetic_tile"]
    assert boards([yard.view(made)], "MVTEC") == [first]


def test_the_newer_result_of_the_same_model_and_seed_counts(yard: Yard) -> None:
    older = yard.submit(models=["toy"], seeds=1, name="older")
    yard.work()
    yard.publish(evaluation=2)
    yard.measure = lambda spec: 0.5
    newer = yard.submit(models=["toy"], seeds=2, name="newer")
    yard.work()
    views = [replace(yard.view(older), benchmark=replace(yard.view(older).benchmark, created_at=1.0))]
    (board,) = boards([*views, yard.view(newer)])
    assert board.models == ("toy",)
    assert [one.metrics[METRIC] for one in board.of("toy", "screw")] == [0.5, 0.5]


def test_other_images_of_a_category_are_another_row(yard: Yard) -> None:
    older = yard.submit(models=["toy"], seeds=1, categories=CATEGORIES[:1])
    other = data("screw", content="new")
    yard.hold([other])
    newer = yard.submit(models=["toy"], seeds=1, categories=[other])
    (board,) = boards([yard.view(older), yard.view(newer)])
    assert len(board.categories) == 2
    assert {one.label.partition(" ")[0] for one in board.categories} == {"screw"}


def test_formats_escape_what_would_be_markup(yard: Yard) -> None:
    made = yard.submit(models=["toy:paper"], categories=CATEGORIES[:1], seeds=1, name="a_b")
    yard.work()
    found = boards([yard.view(made)])
    assert "| screw | 80.0\\* | 99.0\\* |" in as_markdown(found, [METRIC])
    latex = as_latex(found, [METRIC])
    assert r"a\_b" in latex
    assert latex.count(r"\begin{tabular}") == latex.count(r"\end{tabular}") == 1
    lines = as_csv(found, [METRIC]).splitlines()
    assert lines[1] == "mvtec,screw,object,image_auroc,toy:paper,no,0.8,n/a,1,1,test"
