"""Promises of `adctl submit benchmark`, `benchmark`, `leaderboard`, and of what takes a benchmark's name."""

import csv
import io
import json
from pathlib import Path

import pytest

from ad_cli.benchmarks.watching import Look, screen
from ad_cli.pace import Pace
from ad_platform.states import JobKind, JobState
from ad_workers.benchmarking.following import Follower
from benchmark_cases import Yard
from clientkit import Bench, make_category


@pytest.fixture
def yard(desk: Bench, tmp_path: Path) -> Yard:
    desk.online(detectors=("toy", "other"))
    for category in ("screw", "carpet", "grid"):
        make_category(tmp_path / "data", dataset="mvtec", category=category)
    return Yard(desk)


@pytest.fixture
def ask(tmp_path: Path) -> tuple[str, ...]:
    data = str(tmp_path / "data" / "mvtec")
    return ("submit", "benchmark", "-m", "toy,other", "--data", data, "--seeds", "2", "--name", "tables")


def finish(yard: Yard) -> None:
    yard.work()
    follower = Follower(yard.store, yard.client.storage, "me")
    for benchmark in yard.store.benchmarks.to_follow():
        follower.follow(benchmark)


def test_a_dry_run_says_how_many_cells_and_how_many_are_known(adctl, yard: Yard, ask) -> None:
    told = adctl(*ask, "--dry-run")
    assert told.code == 0
    assert "12, none known before, 12 to compute" in told.out
    assert "unknown: nothing like it has run yet" in told.out
    assert "nothing was submitted" in told.err
    assert yard.store.jobs.search() == []
    adctl(*_other(ask, models="toy", name="half"))
    yard.work()
    told = adctl(*ask, "--dry-run", "--json").json
    assert told["cells"] == {"all": 12, "known": 6, "missing": 6}
    assert told["exists"] is False


def _other(ask: tuple[str, ...], models: str, name: str) -> list[str]:
    words = list(ask)
    words[3], words[-1] = models, name
    return words


def test_what_is_known_takes_no_time_and_the_rest_what_it_took(adctl, yard: Yard, ask) -> None:
    adctl(*_other(ask, models="toy", name="half"))
    yard.work()
    told = adctl(*_other(ask, models="toy", name="more"), "--seed", "1", "--dry-run", "--json").json
    assert told["cells"] == {"all": 6, "known": 3, "missing": 3}
    assert told["estimate"]["cells"] == told["estimate"]["of"] == 3
    assert told["estimate"]["seconds"] >= 0
    assert told["estimate"]["slots"] == 1
    told = adctl(*_other(ask, models="other", name="more"), "--dry-run", "--json").json
    assert told["estimate"]["seconds"] is None


def test_it_is_submitted_once_and_says_how_to_follow_it(adctl, yard: Yard, ask) -> None:
    first = adctl(*ask)
    assert first.out == "tables  benchmark toy, other on mvtec, 3 categories, 2 seeds: waiting\n"
    assert "cells: 12, none known before, 12 to compute" in first.err
    assert "watch it with: adctl watch tables" in first.err
    again = adctl(*ask)
    assert "it is there already, with 12 open; nothing was submitted" in again.err
    assert len(yard.store.jobs.search()) == 24
    assert adctl(*ask, "-q").out == "tables\n"
    assert {one.category for one in yard.store.workers.holdings()} == {"screw", "carpet", "grid"}


def test_published_settings_are_said_to_be_chosen_on_test_images(adctl, yard: Yard, ask) -> None:
    told = adctl(*_other(ask, models="toy:paper", name="paper"), "-c", "screw,carpet")
    assert "test images have chosen the settings of toy:paper: selected_on=test" in told.err
    finish(yard)
    shown = adctl("benchmark", "show", "paper").out
    assert shown.count("selected_on=test") == 4
    board = adctl("leaderboard", "paper")
    assert "80.5 ± 0.7*" in board.out
    assert "* selected_on=test: test images have chosen its settings" in board.err
    rows = list(csv.DictReader(io.StringIO(adctl("benchmark", "results", "paper").out)))
    assert {row["selected_on"] for row in rows} == {"test"}


def test_a_benchmark_is_shown_listed_and_explained_by_its_name(adctl, yard: Yard, ask) -> None:
    adctl(*ask)
    yard.work(3)
    listed = adctl("benchmark", "list").out
    assert "tables  running" in listed
    assert "1/12" in listed
    jobs = adctl("list")
    assert len(jobs.out.splitlines()) == 2
    assert "benchmark" in jobs.out
    assert "the jobs of a sweep or benchmark: adctl list --group NAME" in jobs.err
    assert len(adctl("list", "--group", "tables", "-n", "100", "-q").out.splitlines()) == 24
    assert adctl("show", "tables").out == adctl("benchmark", "show", "@last").out
    why = adctl("why", "tables")
    assert "tables  benchmark running" in why.out
    assert "jobs are queued" in why.out
    assert adctl("why", "tables", "--json").json["state"] == "running"


def test_failed_cells_are_told_and_only_they_are_run_again(adctl, yard: Yard, ask) -> None:
    adctl(*ask)
    yard.work(fails=lambda job: job.kind is JobKind.TRAIN and job.spec.dataset.category == "grid")
    why = adctl("why", "tables").out
    assert "with 8 of 12 cells; run the others again: adctl retry tables" in why
    assert "toy grid seed 0 and 3 more: it broke" in why
    assert "run what failed again: adctl retry tables" in adctl("benchmark", "show", "tables").err
    board = adctl("leaderboard", "tables")
    assert "failed (0/2)" in board.out
    assert "4 of 12 cells have no result (4 failed)" in board.err
    assert "(8/12)" in board.out or "(4/6)" in board.out
    retried = adctl("retry", "tables")
    assert retried.out == "tables  4 cells are computed again; what is done stays\n"
    yard.work()
    assert adctl("benchmark", "show", "tables", "--json").json["state"] == "complete"


def test_cancel_ends_it_by_name_or_with_all(adctl, yard: Yard, ask) -> None:
    adctl(*ask)
    yard.work(4)
    told = adctl("cancel", "tables")
    assert told.code == 0
    assert "2 done, 10 cancelled" in told.out
    adctl("retry", "tables")
    assert adctl("cancel", "--all").code == 0
    states = {job.state for job in yard.store.jobs.search(group="tables", limit=100)}
    assert states == {JobState.SUCCEEDED, JobState.CANCELLED}


def test_the_leaderboard_sets_models_beside_the_published_numbers(adctl, yard: Yard, ask) -> None:
    adctl(*ask)
    finish(yard)
    board = adctl("leaderboard")
    lines = [line.split() for line in board.out.splitlines()]
    assert board.out.startswith("MVTec AD: tables\n")
    assert ["carpet", "90.5", "±", "0.7", "95.5", "±", "0.7", "99.3*"] in lines  # a texture first
    assert ["screw", "80.5", "±", "0.7", "85.5", "±", "0.7", "99.0*"] in lines
    assert ["textures", "(2)", "88.0", "±", "0.7", "93.0", "±", "0.7", "99.6*"] in lines
    assert ["average", "(3)", "85.5", "±", "0.7", "90.5", "±", "0.7", "99.4*"] in lines
    assert "toy minus other" in board.out
    assert "arXiv 2305.15956" in board.err
    assert adctl("leaderboard", "--dataset", "MVTec_AD").out == board.out


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ("csv", "mvtec,screw,object,image_auroc,DDAD,yes,0.99,"),
        ("md", "| screw | 80.5 ± 0.7 | 85.5 ± 0.7 | 99.0\\* |"),
        ("latex", r"screw & 80.5 $\pm$ 0.7 & 85.5 $\pm$ 0.7 & 99.0* \\"),
        ("table", "screw"),
    ],
)
def test_a_leaderboard_is_written_in_each_format(adctl, yard: Yard, ask, tmp_path: Path, form, words) -> None:
    adctl(*ask)
    finish(yard)
    printed = adctl("leaderboard", "tables", "-f", form).out
    assert words in printed
    file = tmp_path / "made" / f"board.{form}"
    assert adctl("leaderboard", "tables", "-f", form, "-o", str(file)).out == f"{file}\n"
    if form != "table":
        assert file.read_text().rstrip("\n") == printed.rstrip("\n")
    else:
        assert "arXiv 2305.15956" in file.read_text()  # a file has the notes too


def test_a_leaderboard_as_json_has_whole_numbers_and_one_measure_if_asked(adctl, yard: Yard, ask) -> None:
    adctl(*ask)
    finish(yard)
    (board,) = adctl("leaderboard", "--metric", "pixel_auroc", "--json").json
    rows = {(row["row"], row.get("model") or row["published"]): row for row in board["rows"]}
    assert rows["screw", "toy"]["mean"] == pytest.approx(0.705)
    assert rows["screw", "DDAD"]["mean"] == 0.993
    assert {row["metric"] for row in board["rows"]} == {"pixel_auroc"}


def test_the_board_of_several_benchmarks_joins_what_is_the_same_model(adctl, yard: Yard, ask) -> None:
    adctl(*_other(ask, models="toy", name="first"))
    finish(yard)
    adctl(*ask[:2], "-m", "other,toy", *ask[4:6], "--seeds", "3", "-S", "toy.lr=0.5", "--name", "second")
    finish(yard)
    board = adctl("leaderboard")
    assert "MVTec AD: second, first" in board.out
    header = board.out.splitlines()[2]
    assert "toy (first)" in header or "toy (second)" in header
    assert "models of different benchmarks (second, first) are not tested" in board.err
    assert "2 to 3 seeds" in board.err


def test_results_are_printed_or_written(adctl, yard: Yard, ask, tmp_path: Path) -> None:
    adctl(*ask)
    yard.work(2)
    printed = adctl("benchmark", "results", "tables")
    rows = list(csv.DictReader(io.StringIO(printed.out)))
    assert len(rows) == 12
    assert [row["state"] for row in rows].count("succeeded") == 1
    assert "rows without a result hold n/a" in printed.err
    assert adctl("benchmark", "results", "tables", "-o", str(tmp_path)).out == f"{tmp_path}/results.csv\n"
    assert (tmp_path / "results.csv").read_text() == printed.out


def test_watching_ends_with_the_benchmark_and_its_code_says_how(adctl, yard: Yard, ask) -> None:
    adctl(*ask)
    yard.work(fails=lambda job: job.spec.seed == 1 and job.spec.detector == "toy")
    finish(yard)
    watched = adctl("watch", "tables")
    assert watched.code == 10
    assert "toy screw seed 1: failed" in watched.err
    assert "incomplete  9 done, 3 failed" in watched.out
    adctl("retry", "tables")
    finish(yard)
    assert adctl("benchmark", "watch", "tables").code == 0
    lines = [json.loads(line) for line in adctl("watch", "tables", "--json").out.splitlines()]
    assert [line["kind"] for line in lines].count("cell") == 12


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_watched_screen_fits_the_terminal(yard: Yard, width: int) -> None:
    made = yard.submit(name="a-benchmark-with-a-rather-long-name")
    yard.work(5)
    yard.lease()
    lines = screen(Look(yard.view(made), left=300.0), Pace(lambda: 0.0), width, 12, coloured=False)
    assert all(len(line) < width for line in lines)
    assert len(lines) <= 12
    assert "2 of 12 cells: 2 done, 10 open" in lines[0] or width == 40
