"""Promises of `adctl submit`."""

import re
from pathlib import Path

import pytest

from ad_platform.errors import StoreDown
from ad_platform.records import Holding, Outcome
from ad_platform.states import AttemptOutcome, JobKind, JobState
from clientkit import Bench, make_category
from rights import permissions_hold


def test_submit_train_queues_the_fit_and_an_evaluation_that_waits_for_it(adctl, desk: Bench, screw: Path):
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "-q")

    train = desk.store.jobs.find(called.out.strip())
    (evaluation,) = desk.store.jobs.search(needs=train.id)
    assert called.code == 0
    assert (train.kind, train.state) == (JobKind.TRAIN, JobState.QUEUED)
    assert (evaluation.kind, evaluation.state) == (JobKind.EVALUATE, JobState.WAITING)
    assert evaluation.spec.source == train.id
    assert desk.queue.take() == train.id


def test_no_evaluate_submits_the_fit_alone(adctl, desk: Bench, screw: Path):
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "--json")

    assert [job["kind"] for job in called.json["jobs"]] == ["train"]


def test_a_category_without_test_images_is_not_evaluated_and_that_is_said(adctl, tmp_path: Path):
    folder = make_category(tmp_path / "images", test=False)

    called = adctl("submit", "train", "-m", "toy", "--data", str(folder), "--json")

    assert [job["kind"] for job in called.json["jobs"]] == ["train"]
    assert "no test images" in called.err


def test_without_test_images_what_is_held_out_is_evaluated_and_that_is_said(adctl, tmp_path: Path):
    folder = make_category(tmp_path / "images", test=False)
    for index in range(20):
        (folder / "train" / "good" / f"more{index}.png").write_bytes(b"%d" % index)

    called = adctl("submit", "train", "-m", "toy", "--data", str(folder), "--json")
    none = adctl("submit", "train", "-m", "toy", "--data", str(folder), "--holdout", "none", "--json")

    assert [job["kind"] for job in called.json["jobs"]] == ["train", "evaluate"]
    assert "only the 4 held out" in called.err
    assert [job["kind"] for job in none.json["jobs"]] == ["train"]


def test_a_category_without_test_images_can_be_evaluated_if_its_fit_held_some_out(
    adctl, screw: Path, tmp_path: Path
):
    other = make_category(tmp_path / "more", category="nut", test=False)
    train = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()

    refused = adctl("submit", "evaluate", train, "--data", str(other))
    for index in range(18):
        (other / "train" / "good" / f"more{index}.png").write_bytes(b"%d" % index)
    taken = adctl("submit", "evaluate", train, "--data", str(other))

    assert (refused.code, taken.code) == (2, 0)
    assert "no test images" in refused.err


def test_a_holdout_is_shown_by_a_dry_run_and_with_the_job(adctl, screw: Path):
    for index in range(18):
        (screw / "train" / "good" / f"more{index}.png").write_bytes(b"%d" % index)

    dry = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--holdout", "5/20", "--dry-run")
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--holdout", "5/20")

    assert "15 to learn from, 1 to validate on, 4 to calibrate on, 2 to test on" in dry.out
    assert re.search(r"^holdout +5/20$", dry.out, re.MULTILINE)
    assert re.search(r"^holdout +5/20$", adctl("show", "@last").out, re.MULTILINE)
    assert adctl("show", "@last", "--json").json["spec"]["holdout"] == "5/20"


def test_a_published_preset_takes_the_settings_of_its_category(adctl, screw: Path):
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "-p", "paper", "--dry-run", "--json")

    assert (called.json[0]["config"]["mode"], called.json[0]["holdout"]) == ("median", "none")


def test_a_category_that_a_published_preset_lacks_is_refused_with_those_it_has(adctl, tmp_path: Path):
    folder = make_category(tmp_path / "images", category="zipper")

    called = adctl("submit", "train", "-m", "toy", "--data", str(folder), "--preset", "paper")

    assert called.code == 2
    assert "no category in preset 'paper' named 'zipper'; there are: Screw, carpet" in called.err


def test_every_option_reaches_the_job(adctl, desk: Bench, screw: Path):
    options = (
        "--seed 7 --name n --tag a=1 --tag b=x=y --device cpu --queue gold --priority 9 --max-attempts 5"
        " --timeout 90m"
    )
    called = adctl(
        *("submit", "train", "-m", "TOY", "--data", str(screw), "--preset", "tiny", "-S", "lr=1e-3"),
        *("-S", "layers=3,4", "-S", "flip=true", "--imgsz", "32", "--checkpoint-every", "10", "--key", "k"),
        *(*options.split(), "-q"),
    )

    job = desk.store.jobs.find(called.out.strip())
    config = dict(job.spec.config)
    assert (config["lr"], config["layers"], config["flip"], config["image_size"]) == (0.001, [3, 4], True, 32)
    assert (job.spec.detector, job.spec.seed, job.spec.device, job.spec.checkpoint_every) == (
        "toy",
        7,
        "cpu",
        10,
    )
    assert (job.name, job.queue, job.priority, job.max_attempts, job.key) == ("n", "gold", 9, 5, "k")
    assert dict(job.tags) == {"a": "1", "b": "x=y"}
    assert job.user == "kim"
    assert job.timeout == 5400.0
    shown = adctl("show", job.id).out
    assert "time limit  1h30m" in shown


def test_the_same_key_twice_gives_the_same_jobs(adctl, desk: Bench, screw: Path):
    first = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--key", "k", "-q")
    second = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--key", "k", "-q")

    assert first.out == second.out
    assert len(desk.store.jobs.search()) == 2


def test_the_same_key_with_other_settings_is_pointed_out(adctl, screw: Path):
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--key", "k")
    second = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--key", "k", "--seed", "2")

    assert "the key 'k' already stands for job" in second.err


def test_a_dry_run_writes_nothing(adctl, desk: Bench, screw: Path):
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--dry-run", "--json")

    assert called.json[0]["config"]["lr"] == 0.01
    assert desk.store.jobs.search() == []
    assert desk.store.workers.holdings() == []


def test_without_a_worker_it_is_queued_and_says_how_to_start_one(adctl, screw: Path):
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw))

    assert called.code == 0
    assert "no worker is online" in called.err
    assert "adctl worker start" in called.err


def test_with_a_fitting_worker_there_is_no_warning(adctl, desk: Bench, screw: Path):
    desk.online()

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json")

    assert called.json["warnings"] == []


def test_a_worker_of_another_queue_or_without_the_detector_is_pointed_out(adctl, desk: Bench, screw: Path):
    desk.online(detectors=("other",))

    other_queue = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--queue", "gold")
    no_detector = adctl("submit", "train", "-m", "toy", "--data", str(screw))

    assert "adctl worker start --queues gold" in other_queue.err
    assert "has the detector 'toy'" in no_detector.err


def test_a_broker_that_is_down_does_not_stop_a_submit(adctl, desk: Bench, screw: Path):
    desk.queue.down = True
    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--json")
    desk.queue.down = False
    adctl("list")

    assert called.code == 0
    assert called.json["rung"] is False
    assert "announced later" in called.err
    assert desk.queue.take() == called.json["jobs"][0]["id"]


def test_a_category_is_found_by_name_below_the_data_folder(adctl, desk: Bench):
    make_category(desk.client.settings.data_root)

    called = adctl("submit", "train", "-m", "toy", "--category", "screw", "--json")

    assert called.json["jobs"][0]["spec"]["dataset"]["dataset"] == "parts"


def test_a_category_that_only_a_worker_holds_is_found_by_name(adctl, desk: Bench):
    desk.store.workers.hold(
        [
            Holding(
                node="far", fingerprint="f" * 64, dataset="mvtec", category="hazelnut", path="/far/hazelnut"
            )
        ]
    )

    called = adctl("submit", "train", "-m", "toy", "-d", "mvtec", "-c", "hazelnut", "--json")

    assert called.json["jobs"][0]["spec"]["dataset"]["fingerprint"] == "f" * 64


def test_an_evaluation_of_a_fitted_job_is_queued(adctl, desk: Bench, screw: Path):
    train = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate", "-q").out.strip()
    desk.store.leases.finish(desk.lease(), Outcome(outcome=AttemptOutcome.SUCCEEDED))

    called = adctl("submit", "evaluate", train[:6], "-q")

    job = desk.store.jobs.find(called.out.strip())
    assert (job.kind, job.state, job.spec.source, job.needs) == (
        JobKind.EVALUATE,
        JobState.QUEUED,
        train,
        (train,),
    )


def test_an_evaluation_cannot_be_evaluated(adctl, desk: Bench, screw: Path):
    adctl("submit", "train", "-m", "toy", "--data", str(screw))
    (evaluation,) = desk.store.jobs.search(kind=JobKind.EVALUATE)

    called = adctl("submit", "evaluate", evaluation.id)

    assert called.code == 2
    assert "only train jobs can be evaluated" in called.err


def _no_folder(tmp_path: Path) -> Path:
    return tmp_path / "nowhere"


def _empty_folder(tmp_path: Path) -> Path:
    (tmp_path / "empty" / "train" / "good").mkdir(parents=True)
    return tmp_path / "empty"


def _a_file(tmp_path: Path) -> Path:
    (tmp_path / "file.png").write_bytes(b"x")
    return tmp_path / "file.png"


@pytest.mark.parametrize("make", [_no_folder, _empty_folder, _a_file])
def test_a_folder_that_cannot_be_used_is_named_in_one_line(adctl, desk: Bench, tmp_path: Path, make):
    folder = make(tmp_path)

    called = adctl("submit", "train", "-m", "toy", "--data", str(folder))

    assert called.code == 2
    assert called.err.count("\n") == 1
    assert str(folder) in called.err
    assert desk.store.jobs.search() == []


def test_a_folder_that_cannot_be_read_is_named(adctl, screw: Path):
    (screw / "train" / "good").chmod(0)
    try:
        with permissions_hold():
            called = adctl("submit", "train", "-m", "toy", "--data", str(screw))
    finally:
        (screw / "train" / "good").chmod(0o755)

    assert called.code == 2
    assert "cannot read" in called.err


BAD_INPUT = [
    (("-m", "tyo"), "did you mean toy?"),
    (("-m", "toy", "--preset", "tny"), "did you mean tiny?"),
    (("-m", "toy", "-S", "imagesize=3"), "did you mean image_size?"),
    (("-m", "toy", "-S", "image_size=4"), "image_size must be an integer from 8 to 512, not 4"),
    (("-m", "toy", "-S", "image_size=big"), "image_size must be an integer from 8 to 512, not 'big'"),
    (("-m", "toy", "-S", "lr=0"), "lr must be a number above 0 and at most 1, not 0"),
    (("-m", "toy", "-S", "lr=nan"), "lr must be a number above 0 and at most 1, not 'nan'"),
    (("-m", "toy", "-S", "flip=perhaps"), "flip must be true or false, not 'perhaps'"),
    (("-m", "toy", "-S", "mode=meen"), "did you mean mean or median?"),
    (("-m", "toy", "-S", "layers=1,x"), "layers must be an integer of at least 1, not 'x'"),
    (("-m", "toy", "-S", "lr"), "name=value"),
    (("-m", "toy", "--tag", "lr"), "name=value"),
    (("-m", "toy", "--device", "gpu"), "device must be"),
    (("-m", "toy", "--holdout", "10"), "two percentages such as 10/10, or none, not '10'"),
    (("-m", "toy", "--holdout", "60/40"), "leaves nothing to learn from"),
    (("-m", "toy", "--imgsz", "16", "-S", "image_size=32"), "given twice"),
    (("-m", "toy", "--queue", "a b"), "a queue's name"),
    (("-m", "toy", "--priority", "101"), "from -100 to 100, not 101"),
    (("-m", "toy", "--max-attempts", "0"), "from 1 to 1000, not 0"),
    (("-m", "toy", "--category", "screw"), "not both"),
]


@pytest.mark.parametrize(("arguments", "words"), BAD_INPUT)
def test_bad_input_is_refused_with_what_to_do(adctl, desk: Bench, screw: Path, arguments, words):
    called = adctl("submit", "train", "--data", str(screw), *arguments)

    assert called.code == 2
    assert words in called.err
    assert called.out == ""
    assert "Traceback" not in called.err
    assert desk.store.jobs.search() == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--data DIR"),
        (("-c", "scrw"), "did you mean screw?"),
        (("-d", "prats", "-c", "screw"), "did you mean parts?"),
    ],
)
def test_an_unknown_category_gets_the_nearest_names(adctl, desk: Bench, arguments, words):
    make_category(desk.client.settings.data_root)

    called = adctl("submit", "train", "-m", "toy", *arguments)

    assert called.code == 2
    assert words in called.err


def test_a_category_of_two_datasets_needs_the_dataset(adctl, desk: Bench):
    make_category(desk.client.settings.data_root, dataset="a")
    make_category(desk.client.settings.data_root, dataset="b")

    called = adctl("submit", "train", "-m", "toy", "-c", "screw")

    assert called.code == 2
    assert "add --dataset" in called.err


def test_without_a_store_a_submit_says_to_start_the_services(
    tmp_path: Path, monkeypatch, capsys, screw: Path
):
    from ad_cli.main import run

    monkeypatch.setenv("ADCTL_HOME", str(tmp_path / "fresh"))
    monkeypatch.delenv("ADCTL_DATABASE_URL", raising=False)

    code = run(["submit", "train", "-m", "toy", "--data", str(screw)])

    assert code == 4
    assert "adctl up" in capsys.readouterr().err


def test_wait_ends_with_the_result_and_the_exit_code_of_the_job(adctl, desk: Bench, screw: Path):
    def work(seconds: float) -> None:
        desk.store.leases.finish(
            desk.lease(),
            Outcome(outcome=AttemptOutcome.SUCCEEDED, result={"metrics": {"test/image_auroc": 0.875}}),
        )

    desk.client._pause = work

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--wait")

    assert called.code == 0
    assert called.out.count(" 0.875") == 2


def test_a_store_that_goes_away_while_waiting_is_waited_for(adctl, desk: Bench, screw: Path, monkeypatch):
    adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate")
    get, calls = desk.store.jobs.get, []

    def flaky(job_id: str):
        calls.append(job_id)
        if len(calls) == 2:
            raise StoreDown("the store is taking a nap")
        if len(calls) == 3:
            desk.store.jobs.cancel(job_id)
        return get(job_id)

    monkeypatch.setattr(desk.store.jobs, "get", flaky)

    called = adctl("watch", "@last")

    assert called.code == 11
    assert "taking a nap" in called.err
