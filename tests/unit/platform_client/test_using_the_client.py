"""Promises of the client to programs: plain arguments in, values out, and errors that say what to do."""

import ast
import subprocess
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.client import Client
from ad_platform.errors import (
    AdctlError,
    AdctlWarning,
    Conflict,
    InvalidRequest,
    NotSucceeded,
    StoreDown,
    TimedOut,
    UnknownName,
)
from ad_platform.records import Job, Outcome, Progress
from ad_platform.requests import Scheduling
from ad_platform.specs import Json
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, JobState
from ad_platform.storage.layout import model_prefix, results_prefix
from clientkit import Bench, bench, make_category, migrated

CLI = Path(__file__).parents[3] / "cli" / "ad_cli"
SCORES = """path,label,defect,score,split,map_max
test/good/0.png,0,good,1.5,test,1.5
test/scratch/0.png,1,scratch,4.25,test,n/a
train/good/0.png,0,good,2.0,calibration,2.0
"""


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return migrated(tmp_path_factory.mktemp("template"))


@pytest.fixture
def desk(template: Path, tmp_path: Path) -> Iterator[Bench]:
    with bench(template, tmp_path) as made:
        made.online()
        yield made


@pytest.fixture
def screw(tmp_path: Path) -> Path:
    return make_category(tmp_path / "images")


def ended(desk: Bench, folder: Path | None = None, **result: Json) -> Job:
    """Let the next job succeed, with the files of a folder if one is given."""
    lease = desk.lease()
    job = desk.store.jobs.get(lease.job_id)
    if folder is not None:
        place = model_prefix if job.kind is JobKind.TRAIN else results_prefix
        manifest = desk.client.storage.publish(place(job.id, 1), folder)
        result |= {"bundle": manifest.prefix, "manifest_sha256": manifest.sha256}
    return desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=result))


def failed(desk: Bench) -> Job:
    return desk.store.leases.finish(
        desk.lease(), Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CODE, error="a loss is nan")
    )


def evaluated(desk: Bench, tmp_path: Path) -> None:
    """Let the fit and its evaluation succeed."""
    files = tmp_path / "files"
    files.mkdir()
    (files / "scores.csv").write_text(SCORES)
    ended(desk, files)
    ended(
        desk,
        files,
        metrics={"test/image_auroc": 0.9},
        intervals={"test/image_auroc": [0.8, 1.0]},
        defects={"scratch": {"image_auroc": 0.9, "pixel_auroc": None}},
        operating_point={"threshold": 2.0},
    )


def test_training_takes_plain_arguments(desk: Bench, screw: Path):
    job = desk.client.train(
        "TOY",
        data=str(screw),
        preset="large",
        settings={"lr": 0.5},
        seed=3,
        scheduling=Scheduling(name="mine", tags={"by": "hand"}),
    )

    assert (job.kind, job.state, job.spec.detector, job.spec.preset) == ("train", "queued", "toy", "large")
    assert (job.spec.config["lr"], job.spec.config["image_size"], job.spec.seed) == (0.5, 256, 3)
    assert (job.name, dict(job.tags), job.user) == ("mine", {"by": "hand"}, "kim")
    evaluation = desk.client.evaluation_of(job)
    assert evaluation is not None
    assert evaluation.needs == (job.id,)


def test_a_category_is_found_by_name_too(desk: Bench, screw: Path):
    desk.client.train("toy", data=screw)

    again = desk.client.train("toy", dataset="PARTS", category="Screw", evaluate=False)

    assert again.spec.dataset.category == "screw"
    assert desk.client.evaluation_of(again) is None


def test_what_is_in_the_way_of_a_job_is_a_warning(desk: Bench, tmp_path: Path):
    alone = make_category(tmp_path / "alone", test=False)
    with pytest.warns(AdctlWarning, match="has no test images"):
        job = desk.client.train("toy", data=alone)
    with pytest.warns(AdctlWarning, match="elsewhere"):
        desk.client.train("toy", data=alone, evaluate=False, scheduling=Scheduling(queue="elsewhere"))

    assert job.state is JobState.QUEUED


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"detector": "toi"}, "did you mean toy"),
        ({"preset": "tinny"}, "tiny"),
        ({"settings": {"lr": 7}}, "lr"),
        ({"settings": {"rl": 0.1}}, "lr"),
        ({"device": "gpu"}, "'gpu'"),
        ({"data": "nowhere"}, "nowhere"),
    ],
)
def test_a_mistake_is_said_before_anything_is_submitted(
    desk: Bench, screw: Path, wrong: dict[str, object], says: str
):
    with pytest.raises(InvalidRequest, match=says):
        desk.client.train(**{"detector": "toy", "data": screw, **wrong})  # type: ignore[arg-type]

    assert desk.client.jobs() == []


def test_waiting_returns_the_ended_job_with_what_follows_it(desk: Bench, screw: Path, tmp_path: Path):
    job = desk.client.train("toy", data=screw)
    evaluated(desk, tmp_path)

    assert desk.client.wait(job.id[:8], check=True).state is JobState.SUCCEEDED
    evaluation = desk.client.evaluation_of(job)
    assert evaluation is not None
    assert evaluation.state is JobState.SUCCEEDED


def test_waiting_is_given_up_after_a_while_and_the_job_goes_on(desk: Bench, screw: Path):
    job = desk.client.train("toy", data=screw)
    desk.store.leases.renew(desk.lease(), Progress(step=3, of=10))

    with pytest.raises(TimedOut, match=r"is running \(step 3 of 10\) after 0 s; it goes on"):
        desk.client.wait(job, timeout=0)

    assert desk.client.job(job).state is JobState.RUNNING


def test_a_failure_is_returned_or_raised_as_one_likes(desk: Bench, screw: Path):
    job = desk.client.train("toy", data=screw, evaluate=False, scheduling=Scheduling(max_attempts=1))
    failed(desk)

    assert desk.client.wait(job).state is JobState.FAILED
    with pytest.raises(NotSucceeded, match=r"a loss is nan.*retry"):
        desk.client.wait(job, check=True)
    with pytest.raises(Conflict, match="was not evaluated"):
        desk.client.results(job)
    again = desk.client.retry(job).jobs[0]
    assert desk.client.cancel(again).state is JobState.CANCELLED


def test_progress_comes_at_every_change_until_the_end(desk: Bench, screw: Path):
    job = desk.client.train("toy", data=screw, evaluate=False)
    lease = desk.lease()
    seen: list[Progress] = []
    for now in desk.client.progress(job):
        seen.append(now)
        if now.step < 2:
            told = Progress(step=now.step + 1, of=2, metrics={"train/loss": 1.0 / (now.step + 1)})
            desk.store.leases.renew(lease, told)
        else:
            desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED))

    assert [(each.step, each.metrics.get("train/loss")) for each in seen] == [(0, None), (1, 1.0), (2, 0.5)]


def test_one_job_is_watched_by_its_first_characters(desk: Bench, screw: Path):
    job = desk.client.train("toy", data=screw, evaluate=False)
    ended(desk)

    assert [each.id for snapshot in desk.client.watch(job.id[:6]) for each in snapshot.jobs] == [job.id]


def test_results_are_numbers_a_table_and_arrays(desk: Bench, screw: Path, tmp_path: Path):
    job = desk.client.train("toy", data=screw)
    evaluated(desk, tmp_path)

    results = desk.client.results(job)

    assert results.job.needs == (job.id,)
    assert results.metrics == {"test/image_auroc": 0.9}
    assert results.intervals == {"test/image_auroc": (0.8, 1.0)}
    assert (results.defects, results.threshold) == ({"scratch": {"image_auroc": 0.9}}, 2.0)
    good, scratch = results.images
    assert (good.path, good.score, good.anomalous, good.map_max) == ("test/good/0.png", 1.5, False, 1.5)
    assert (scratch.defect, scratch.score, scratch.anomalous, scratch.map_max) == (
        "scratch",
        4.25,
        True,
        None,
    )
    assert [each.split for each in results.every_image] == ["test", "test", "calibration"]
    arrays = results.arrays()
    assert arrays["score"].tolist() == [1.5, 4.25]
    assert arrays["label"].tolist() == [0, 1]
    assert arrays["path"].tolist() == ["test/good/0.png", "test/scratch/0.png"]


def test_results_of_what_has_not_ended_say_how_to_wait(desk: Bench, screw: Path):
    job = desk.client.train("toy", data=screw)

    with pytest.raises(Conflict, match=r"is waiting: client\.wait"):
        desk.client.results(job)
    with pytest.raises(Conflict, match="left no files"):
        desk.client.files(job)


def test_files_are_fetched_once_and_copied_into_an_empty_folder_only(
    desk: Bench, screw: Path, tmp_path: Path
):
    job = desk.client.train("toy", data=screw)
    evaluated(desk, tmp_path)
    evaluation = desk.client.evaluation_of(job)
    assert evaluation is not None

    assert desk.client.files(evaluation) == desk.client.files(evaluation)
    folder = desk.client.download(evaluation, tmp_path / "copy")
    assert (folder / "scores.csv").read_text() == SCORES
    with pytest.raises(InvalidRequest, match="not an empty folder"):
        desk.client.download(evaluation, folder)


def test_an_evaluation_is_asked_for_by_the_job(desk: Bench, screw: Path, tmp_path: Path):
    job = desk.client.train("toy", data=screw, evaluate=False)
    other = make_category(tmp_path / "more", category="nut")

    first, second = desk.client.evaluate(job), desk.client.evaluate(job, data=other)

    assert (first.spec.source, first.spec.dataset.category) == (job.id, "screw")
    assert (second.spec.source, second.spec.dataset.category) == (job.id, "nut")


def test_sweeps_are_reached_through_the_client(desk: Bench):
    assert desk.client.sweeps is desk.client.sweeps
    assert desk.client.sweeps.list() == []
    with pytest.raises(UnknownName):
        desk.client.sweeps.find("nosuch")


def test_without_settings_the_environment_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ADCTL_HOME", str(tmp_path / "nothing"))
    with Client() as client:
        assert client.settings.home == tmp_path / "nothing"
        with pytest.raises(StoreDown, match="adctl up"):
            client.jobs()


def test_every_error_is_an_adctl_error_and_torch_is_never_loaded(tmp_path: Path, screw: Path):
    code = (
        "import sys, ad_platform.client as c, ad_platform.errors as e\n"
        "with c.Client() as client:\n"
        "    for ask in (lambda: client.train('x', data=sys.argv[1]), lambda: client.wait('x'),\n"
        "                lambda: client.results('x'), lambda: next(client.progress('x')),\n"
        "                lambda: client.sweeps):\n"
        "        try: ask()\n"
        "        except e.AdctlError: continue\n"
        "        sys.exit('no error')\n"
        "print([name for name in ('torch', 'numpy', 'mlflow', 'optuna') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(screw)],
        capture_output=True,
        text=True,
        check=False,
        env={"ADCTL_HOME": str(tmp_path / "none"), "PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin"},
    )
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


@pytest.mark.parametrize(
    "path",
    [path for path in sorted(CLI.rglob("*.py")) if path.parent.name != "completion"],
    ids=lambda path: path.relative_to(CLI).as_posix(),
)
def test_commands_use_no_more_of_the_client_than_programs_may(path: Path):
    """Neither what lies behind it nor its private parts: one implementation, the client's."""
    behind = {"store", "storage", "queue"}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and "client" in node.value.id:
            assert node.attr not in behind, f"line {node.lineno}: client.{node.attr}"
            assert not node.attr.startswith("_"), f"line {node.lineno}: client.{node.attr}"


def test_no_warning_is_lost_as_an_error_of_another_kind():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AdctlWarning):
            warnings.warn("no worker", AdctlWarning, stacklevel=1)
    assert not issubclass(AdctlWarning, AdctlError)
