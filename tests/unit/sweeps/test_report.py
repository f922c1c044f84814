"""A report of a sweep is one page that stands by itself, whatever became of the trials."""

import csv
import json
import math
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

import study_cases as cases
from ad_platform.errors import MissingExtra
from ad_platform.records import Trial
from ad_platform.states import StudyState, TrialOrigin, TrialState
from ad_platform.sweeps.objectives import parse
from ad_platform.sweeps.report import Optimism, ReportFacts, TestScore, build, building, facts_of
from ad_platform.sweeps.study_spec import StudySpec

ON_TEST = cases.spec(objectives=(parse("test/image_auroc"),))
BOTH = cases.spec(space=(cases.NOISE, cases.W), objectives=(cases.AUROC, cases.LATENCY))


def page(
    folder: Path,
    spec: StudySpec,
    trials: Sequence[Trial],
    *,
    rungs: dict[int, list[float]] | None = None,
    facts: ReportFacts | None = None,
    **study: object,
) -> str:
    """Build a report and return its page without the program that draws plots."""
    made = cases.study(spec, wanted=len(trials), **study)
    build(made, spec, trials, rungs or {}, facts or ReportFacts(), folder)
    text = (folder / "report.html").read_text()
    scripts = re.split(r"(?=<script>)", text)
    return "".join(part for part in scripts if len(part) < 1_000_000 or "</section>" in part)


def figures(text: str) -> list[dict]:
    """Return the plots of a page, and refuse numbers that JSON does not know."""
    found = re.findall(r'<script type="application/json" data-for="plot-\d+">(.*?)</script>', text, re.S)
    return [json.loads(each, parse_constant=pytest.fail) for each in found]


def titles(text: str) -> list[str]:
    return re.findall(r"<h2[^>]*>(.*?)</h2>", text)


def words(text: str) -> str:
    """Return what a reader sees, without plots."""
    without = re.sub(r"<(script|style).*?</\1>", "", text, flags=re.S)
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", without))


def whole(spec: StudySpec, count: int) -> list[Trial]:
    return cases.trials(spec, count, broken=False)


CASES = {
    "usual": (cases.spec(), cases.trials(cases.spec(), 60)),
    "two objectives": (BOTH, cases.trials(BOTH, 40)),
    "nothing asked": (cases.spec(), []),
    "one complete": (cases.spec(), whole(cases.spec(), 1)),
    "all pruned": (
        cases.spec(),
        [replace(trial, state=TrialState.PRUNED) for trial in whole(cases.spec(), 12)],
    ),
    "all failed": (
        cases.spec(),
        [replace(trial, state=TrialState.FAILED, values=None) for trial in whole(cases.spec(), 12)],
    ),
    "all equal": (ON_TEST, [replace(trial, values=(1.0,)) for trial in whole(ON_TEST, 20)]),
    "all running": (
        cases.spec(),
        [replace(t, state=TrialState.RUNNING, values=None, ended_at=None) for t in whole(cases.spec(), 3)],
    ),
    "only choices": (cases.spec(space=(cases.BACKBONE,)), whole(cases.spec(space=(cases.BACKBONE,)), 20)),
    "not a number": (
        cases.spec(),
        [replace(t, values=(math.nan if t.number % 2 else 0.5,)) for t in whole(cases.spec(), 20)],
    ),
    "settings missing": (cases.spec(), [replace(t, params={}) for t in whole(cases.spec(), 20)]),
}


@pytest.mark.parametrize("name", CASES)
def test_a_page_is_whole_valid_and_asks_nobody(name: str, tmp_path: Path) -> None:
    from plotly.graph_objects import Figure

    spec, trials = CASES[name]
    text = page(tmp_path, spec, trials, rungs=cases.rungs([t for t in trials if name != "not a number"]))
    for figure in figures(text):
        for trace in figure["data"]:
            if isinstance(trace.get("text"), dict):
                assert set(trace["text"]["trials"]) <= {trial.number for trial in trials}
                trace["text"] = []
        Figure(data=figure["data"], layout=figure["layout"])  # plotly refuses what it does not know
    assert titles(text)[-1] == "Trials"
    assert not re.search(r"<link|<img|<iframe|(src|href)=[\"'](?!#)", text)
    seen = words(text)
    assert not re.search(r"\bnan\b|\bNaN\b|\bInfinity\b|\bNone\b|undefined", seen), seen
    assert seen.count("(") == seen.count(")")


def test_the_page_brings_the_program_that_draws_and_is_the_same_each_time(tmp_path: Path) -> None:
    trials = cases.trials(cases.spec(), 30)
    for folder in ("a", "b"):
        page(tmp_path / folder, cases.spec(), trials, rungs=cases.rungs(trials))
    first = (tmp_path / "a" / "report.html").read_bytes()
    assert first == (tmp_path / "b" / "report.html").read_bytes()
    assert first.count(b"Plotly.newPlot(place") == 1
    assert len(re.findall(rb"plotly\.js v\d", first)) == 1
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["report.html", "trials.csv"]


def test_a_usual_sweep_shows_every_kind_of_plot(tmp_path: Path) -> None:
    spec, trials = CASES["usual"]
    text = page(tmp_path, spec, trials, rungs=cases.rungs(trials))
    assert titles(text) == [
        "Optimisation history",
        "Importance of the settings",
        "Pairs of settings",
        "Each setting by itself",
        "Parallel coordinates",
        "Intermediate values",
        "Timeline",
        "Trials",
    ]
    kinds = [figure["data"][0]["type"] for figure in figures(text)]
    assert kinds.count("contour") == 3  # pairs of three numeric settings
    assert kinds.count("parcoords") == 1


def test_several_objectives_have_a_front_and_no_best_trial(tmp_path: Path) -> None:
    text = page(tmp_path, BOTH, cases.trials(BOTH, 40))
    assert "Pareto front" in titles(text)
    assert "trials on the front is best is for you to say" in words(text)
    assert "best trial" not in words(text)


def test_the_sum_of_what_was_asked_adds_up_and_says_what_does_not_count(tmp_path: Path) -> None:
    trials = cases.retried(cases.trials(cases.spec(), 48))
    ruled_out = replace(trials[0], number=90, origin=TrialOrigin.RULED_OUT, state=TrialState.FAILED)
    warm = replace(trials[0], number=91, origin=TrialOrigin.WARM)
    seen = words(page(tmp_path, cases.spec(), [*trials, ruled_out, warm]))
    asked, complete, pruned, failed = map(
        int, re.search(r"(\d+) asked = (\d+) complete \+ (\d+) pruned \+ (\d+) failed", seen).groups()
    )
    assert (asked, failed) == (50, 2)
    assert asked == complete + pruned + failed
    assert "; 2 in the place of failed ones; 1 known from another sweep; 1 ruled out, uncounted" in seen


def test_a_running_sweep_says_how_far_it_is(tmp_path: Path) -> None:
    spec, trials = CASES["all running"]
    facts = ReportFacts(made_at=cases.START + 600)
    more = {"state": StudyState.RUNNING, "finished_at": None}
    seen = words(page(tmp_path, spec, trials, facts=facts, **more))
    assert "3 asked = 0 complete + 0 pruned + 0 failed + 3 running" in seen
    assert "2027-01-15 08:10:00 UTC, after 10 min" in seen
    assert "No trial is complete yet." in seen


def test_what_the_choice_flatters_is_said_in_words(tmp_path: Path) -> None:
    spec, trials = CASES["usual"]
    luck = Optimism(selected=0.96, corrected=0.94, optimism=0.02, low=0.9, high=0.97, trials=31, images=64)
    test = TestScore(metric="test/image_auroc", value=0.93, low=0.89, high=0.96)
    facts = ReportFacts(chosen=7, selected=0.96, optimism=luck, test=test, preset_test=0.91)
    seen = words(page(tmp_path, spec, trials, facts=facts))
    assert (
        "It scored 0.9600 as the best of 31 by validation/image_auroc. About 0.0200 of that is luck" in seen
    )
    assert "it comes to 0.9400 (95 % of draws from 0.9000 to 0.9700)" in seen
    assert "On the test images, which chose nothing, it scores 0.9300 (0.8900 to 0.9600)" in seen
    assert "is 0.9100, a difference that so few images cannot tell from luck." in seen
    facts = replace(facts, optimism=replace(luck, optimism=-0.001, corrected=0.961), preset_test=0.8)
    seen = words(page(tmp_path, spec, trials, facts=facts))
    assert "That hardly flatters" in seen
    assert "is 0.8000, less." in seen
    assert "How large a part was not estimated." in words(page(tmp_path, spec, trials))


def test_settings_chosen_by_test_labels_are_marked(tmp_path: Path) -> None:
    assert "selected_on=test: test labels chose the settings" in words(page(tmp_path, *CASES["all equal"]))
    assert "selected_on=test" not in words(page(tmp_path, *CASES["usual"]))


def test_why_there_is_no_best_trial_is_said(tmp_path: Path) -> None:
    assert "Every trial was pruned" in words(page(tmp_path, *CASES["all pruned"]))
    assert "the table below says why" in words(page(tmp_path, *CASES["all failed"]))
    assert "Every trial has the same value" in words(page(tmp_path, *CASES["all equal"]))


def test_nothing_that_is_typed_becomes_part_of_the_page(tmp_path: Path) -> None:
    evil = "</script><script>alert(1)</script><b onmouseover='x'>"
    space = (replace(cases.BACKBONE, name=evil, choices=("a", evil)), cases.W)
    spec = cases.spec(space=space)
    trials = [
        replace(trial, error=evil, state=TrialState.FAILED if trial.number == 3 else trial.state)
        for trial in whole(spec, 12)
    ]
    text = page(tmp_path, spec, trials, name=evil, user=evil)
    assert "<script>alert" not in text
    assert "<b onmouseover" not in text
    assert "onmouseover" in text


def test_trials_are_a_table_with_exact_values(tmp_path: Path) -> None:
    spec, trials = CASES["usual"]
    page(tmp_path, spec, trials, rungs=cases.rungs(trials))
    with (tmp_path / "trials.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["number"]) for row in rows] == list(range(60))
    for row, trial in zip(rows, trials, strict=True):
        assert row["state"] == trial.state.value
        assert (float(row["params_w"]), int(row["params_noise_step"])) == (
            trial.params["w"],
            trial.params["noise_step"],
        )
        assert row["validation/image_auroc"] == ("" if trial.values is None else repr(trial.values[0]))
        assert row["asked_at"].endswith("Z")
    assert {row["error"] for row in rows} == {"", "out of memory on the GPU, twice"}
    assert len(rows[0]["rungs"].split(";")) == 8


def test_thousands_of_trials_make_a_page_that_opens(tmp_path: Path) -> None:
    spec = cases.spec(space=(cases.NOISE, cases.W))
    trials = cases.trials(spec, 5000)
    text = page(tmp_path, spec, trials, rungs=cases.rungs(trials))
    assert (tmp_path / "report.html").stat().st_size < 9_000_000
    points = [
        len(trace["x"]) for figure in figures(text) for trace in figure["data"] if trace["type"] == "scatter"
    ]
    assert max(points) <= 6000  # three for each of 2000 bars of the timeline
    assert "Shown are 2,000 of 5,000 trials" in text
    assert "Shown are 500 of 5,000, the best first." in words(text)
    with (tmp_path / "trials.csv").open() as file:
        assert sum(1 for _ in file) == 5001


def test_a_light_client_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match=r"a report of a sweep needs .* 'adctl\[worker\]'"):
        page(tmp_path, *CASES["usual"])


def test_facts_are_what_the_summary_says_and_strange_ones_are_left_out() -> None:
    luck = {"selected": 0.9, "corrected": 0.8, "optimism": 0.1, "low": 0.7, "high": 0.9}
    summary = {
        "best": {"number": 3, "values": [0.9], "params": {}},
        "final": {
            "number": 3,
            "train": "a",
            "evaluate": "b",
            "metrics": {"test/image_auroc": 0.85},
            "intervals": {"test/image_auroc": [0.8, 0.9]},
            "preset": {"metrics": {"test/image_auroc": 0.8}},
            "optimism": {**luck, "trials": 3, "images": 9},
        },
    }
    spec = cases.spec()
    assert facts_of(cases.study(spec, summary=summary), spec) == ReportFacts(
        train_job="a",
        evaluate_job="b",
        chosen=3,
        selected=0.9,
        optimism=Optimism(**luck, trials=3, images=9),
        test=TestScore(metric="test/image_auroc", value=0.85, low=0.8, high=0.9),
        preset_test=0.8,
    )
    strange = {"best": 3, "final": {"number": "3", "metrics": [], "optimism": {"low": 0}, "more": 1}}
    assert facts_of(cases.study(spec, summary=strange), spec) == ReportFacts()
    fast = cases.spec(objectives=(cases.LATENCY,))
    assert facts_of(cases.study(fast, summary=summary), fast).test is not None
