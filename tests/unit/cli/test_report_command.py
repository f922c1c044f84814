"""Promises of `adctl report`: a page where it was asked for, or why there is none."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import markup
import study_cases as cases
from ad_cli.exits import Exit
from ad_platform.records import Holding, Outcome
from ad_platform.specs import DatasetRef, JobSpec, Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, StudyState, TrialState
from ad_platform.sweeps.report import building
from benchmark_cases import Yard
from rights import permissions_hold


@pytest.fixture
def sweep(desk, tmp_path, monkeypatch) -> str:
    """A sweep with a few trials, and a folder to work in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    spec = cases.spec(space=(cases.NOISE, cases.W))
    made = cases.study(spec, state=StudyState.RUNNING, finished_at=None)
    study = desk.store.studies.create(made)
    assert desk.store.studies.claim(study.id, "me", 60.0)
    for trial in cases.trials(spec, 9, broken=False):
        desk.store.studies.begin_trial(
            replace(trial, study_id=study.id, state=TrialState.RUNNING, values=None), "me", []
        )
        desk.store.studies.end_trial(study.id, trial.number, TrialState.COMPLETE, trial.values)
    return study.name


def test_the_page_and_the_table_lie_in_a_folder_named_after_the_sweep(adctl, sweep):
    called = adctl("report", sweep.upper())

    page = Path.cwd() / f"{sweep}-report" / "report.html"
    assert (called.code, called.out) == (Exit.OK, f"{page}\n")
    assert f"all trials as a table: {page.with_name('trials.csv')}" in called.err
    assert "9 asked = 9 complete + 0 pruned + 0 failed; 31 more wanted" in page.read_text()
    assert len(page.with_name("trials.csv").read_text().splitlines()) == 10


def test_it_goes_where_one_says_and_replaces_what_an_earlier_call_wrote(adctl, sweep):
    for _ in range(2):
        assert adctl("report", sweep, "--out", "a page.html", "-q").out == f"{Path.cwd() / 'a page.html'}\n"
    assert "Trials</h2>" in Path("a page.html").read_text()
    assert Path("a page.csv").exists()
    told = adctl("report", sweep, "-o", "deep/er", "--json").json
    assert told == {
        "sweep": sweep,
        "page": str(Path.cwd() / "deep/er/report.html"),
        "trials": str(Path.cwd() / "deep/er/trials.csv"),
    }


@pytest.mark.parametrize("name", ["a page.html", "a page.csv"])
def test_a_file_of_somebody_else_is_left_alone(adctl, sweep, name):
    Path(name).write_text("mine")

    called = adctl("report", sweep, "--out", "a page.html")

    assert called.code == Exit.USAGE
    assert f"{name} is there already and was not written by adctl report" in called.err
    assert Path(name).read_text() == "mine"
    assert [path.name for path in Path.cwd().iterdir()] == [name]


def test_a_sweep_that_is_not_there_is_answered_with_the_nearest(adctl, sweep):
    called = adctl("report", "screw-nois")

    assert called.code == Exit.USAGE
    assert f"did you mean {sweep}?" in called.err


def test_where_plots_cannot_be_drawn_it_says_what_to_install_and_writes_nothing(adctl, sweep, monkeypatch):
    monkeypatch.setattr(building, "find_spec", lambda name: None)

    called = adctl("report", sweep)

    assert called.code == Exit.MISSING
    assert "pip install 'adctl[worker]'" in called.err
    assert list(Path.cwd().iterdir()) == []


def test_a_file_in_the_way_is_named(adctl, sweep):
    Path("taken").write_text("mine")

    called = adctl("report", sweep, "--out", "taken")

    assert called.code == Exit.USAGE
    assert "taken" in called.err
    assert Path("taken").read_text() == "mine"


@pytest.fixture
def job(desk, tmp_path, monkeypatch) -> str:
    """A fit that failed, and a folder to work in."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    data = DatasetRef(dataset="parts", category="screw", fingerprint="f" * 64, path="/data")
    spec = JobSpec(kind=JobKind.TRAIN, detector="toy", dataset=data)
    (made,) = desk.store.jobs.submit([Submission(spec=spec, user="kim")])
    place = Holding(
        node="here", fingerprint=data.fingerprint, dataset="parts", category="screw", path="/data"
    )
    desk.store.workers.hold([place])
    failed = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.DATA, error="0.png is no picture")
    desk.store.leases.finish(desk.lease(), failed)
    return made.id


def test_the_page_of_a_job_lies_in_a_file_named_after_it(adctl, job):
    page = Path.cwd() / f"{job[:8]}-report.html"
    for name in (job, "@last"):
        called = adctl("report", name)
        assert (called.code, called.out, called.err) == (Exit.OK, f"{page}\n", "")
    assert "0.png is no picture" in page.read_text()
    assert f"<code>adctl why {job}</code>" in page.read_text()
    told = adctl("report", job, "-o", "deep/er", "--json").json
    assert told == {"job": job, "page": str(Path.cwd() / "deep/er/report.html")}


def test_no_heavy_library_is_loaded_for_the_page_of_a_job(adctl, job):
    code = (
        "import sys, ad_platform.job_report, ad_cli.commands.report\n"
        "print(sorted({'torch', 'numpy', 'mlflow', 'optuna', 'plotly', 'ad_detectors'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_a_folder_without_the_right_to_write_is_named(adctl, job):
    Path("closed").mkdir(mode=0o500)
    with permissions_hold():
        called = adctl("report", job, "--out", "closed/page.html")
    assert called.code == Exit.UNAVAILABLE
    assert "closed/page.html: permission denied; name another place with --out" in called.err


def test_the_page_of_a_benchmark_lies_in_a_file_named_after_it(adctl, desk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yard = Yard(desk)
    yard.submit(name="tables")
    yard.work(fails=lambda one: one.spec.dataset.category == "grid" and one.spec.detector == "toy")

    called = adctl("report", "TABLES")

    page = tmp_path / "tables-report.html"
    assert (called.code, called.out, called.err) == (Exit.OK, f"{page}\n", "")
    assert markup.problems(page.read_text()) == []
    seen = markup.Markup(page.read_text()).text
    assert "Of 12 cells (a model on a category with a seed) 10 have a result, 2 ended without one." in seen
    assert "toy is worst on screw: image AUROC 80.5 ± 0.7." in seen
    assert "other 90.5 ± 0.7" in seen
    assert "DDAD (published)" in seen
    assert "adctl retry tables" in seen
    told = adctl("report", "tables", "--json", "-o", "x.htm").json
    assert told == {"benchmark": "tables", "page": str(tmp_path / "x.htm")}
