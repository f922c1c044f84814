"""`adctl predict --submit` and `adctl results`: a job that gives what the same call gives here."""

import json
import os
import shutil
import time
from pathlib import Path

import pytest
from PIL import Image

import predicting_here
from ad_platform.errors import CorruptBundle
from ad_platform.records import Outcome, WorkerRecord
from ad_platform.states import AttemptOutcome, FailureClass, JobKind, JobState
from ad_platform.storage.parts import whole_parts
from clientkit import Bench
from placed_model import Placed


@pytest.fixture
def photos(placed: Placed) -> Path:
    """Nineteen pictures in two folders, one of them broken."""
    folder = Path("photos").resolve()
    for source, name in ((placed.good, "good"), (placed.cut, "cut")):
        for number in range(9):
            file = sorted(source.iterdir())[number % 4]
            (folder / name).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / name / f"{number}.png")
    (folder / "cut" / "broken.png").write_text("no picture")
    return folder


def submitted(adctl, desk: Bench, *arguments: str):
    called = adctl("predict", "screw", *arguments, "--submit", "--json")
    assert called.code == 0, called.err
    return desk.store.jobs.get(called.json["jobs"][0]["id"])


def test_a_job_gives_what_the_same_call_here_gives(adctl, desk: Bench, placed: Placed, photos: Path) -> None:
    pictures = (str(photos / "good"), str(photos / "cut"))
    drawn = ("--heat-maps", "--masks", "--maps")

    job = submitted(adctl, desk, *pictures, *drawn, "--shard", "5", "--name", "line 3")
    assert (job.kind, job.state, job.name) == (JobKind.PREDICT, JobState.QUEUED, "line 3")
    assert predicting_here.run(desk, job).state is JobState.SUCCEEDED
    assert len(whole_parts(desk.client.storage, [job.id])) > 2
    there = adctl("results", job.id, "--format", "jsonl", "--out", "there")
    here = adctl("predict", "screw", *pictures, *drawn, "--format", "jsonl", "--out", "here")

    assert there.out == here.out.replace("here/", "there/")
    assert (there.code, here.code) == (2, 2)  # one is broken, and named
    assert Path("there/scores.jsonl").read_text() == there.out
    files = [
        sorted(path.relative_to(top) for path in Path(top).rglob("*") if path.is_file())
        for top in ("here", "there")
    ]
    assert files[0] == files[1]
    assert len(files[0]) == 3 * 18 + 1
    for name in files[0]:
        if name.suffix != ".jsonl":
            assert Path("here", name).read_bytes() == Path("there", name).read_bytes()


def test_its_table_is_printed_as_csv_and_json_and_kept_with_the_job(adctl, desk: Bench, photos: Path) -> None:
    job = predicting_here.run(desk, submitted(adctl, desk, str(photos / "good")))

    table = adctl("results", job.id, "--csv").out
    assert table == adctl("predict", "screw", str(photos / "good"), "--csv").out
    desk.client.storage.fetch(str(job.result["bundle"]), Path("bundle"))
    assert Path("bundle/scores.csv").read_text() == table
    document = adctl("results", job.id, "--json").json
    assert (document["job"], document["whole"], len(document["images"])) == (job.id, True, 9)
    assert adctl("results", job.id, "-q").out.count("\n") == 9


def test_submitting_says_what_will_be_scored_and_where_the_results_are(adctl, photos: Path) -> None:
    called = adctl("predict", "screw", str(photos / "good"), "--submit")

    assert called.out.endswith("predict pixel_mean on parts/screw: queued\n")
    assert f"9 images in {photos / 'good'}: anomalous above 1.60" in called.err
    assert "adctl results" in called.err


def test_showing_it_says_how_many_and_where(adctl, desk: Bench, photos: Path) -> None:
    job = predicting_here.run(desk, submitted(adctl, desk, str(photos / "cut")))

    shown = adctl("show", job.id).out

    assert f"10 in {photos / 'cut'}" in shown
    assert "anomalous above 1.60" in shown
    counts = {
        name: int(float(value))
        for name, value in (
            line.split()
            for line in shown.splitlines()
            if line.split()[:1] in (["anomalous"], ["normal"], ["unreadable"])
        )
    }
    assert counts == {"anomalous": 9, "normal": 0, "unreadable": 1}
    assert adctl("list", "--kind", "predict").code == 0


def test_what_there_is_so_far_can_be_had_and_a_retry_goes_on_behind_it(
    adctl, desk: Bench, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ad_workers.predicting import shards

    job = submitted(adctl, desk, str(photos / "good"), "--shard", "4", "--max-attempts", "1")
    lease, publish, made = predicting_here.leased(desk, job), shards.Shards.publish, []

    def once(self: shards.Shards) -> None:
        if made:
            raise CorruptBundle("the storage is away")
        made.append(self)
        publish(self)

    with monkeypatch.context() as patched:
        patched.setattr(shards.Shards, "publish", once)
        with pytest.raises(CorruptBundle):
            predicting_here.compute(desk, lease)

    running = adctl("results", job.id, "-q")
    assert running.out.count("\n") == 8  # as many as are scored at once
    assert f"8 of 9 images are scored so far; job {job.id} is running" in running.err
    failed = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.INFRA, error="away")
    desk.store.leases.finish(lease, failed)
    assert f"it goes on with: adctl retry {job.id[:8]}" in adctl("results", job.id).err

    again = desk.store.jobs.retry(job.id)
    lease = predicting_here.leased(desk, again)
    done = predicting_here.compute(desk, lease, lineage=(job.id,))
    desk.store.leases.finish(lease, Outcome(outcome=AttemptOutcome.SUCCEEDED, result=done.result))
    assert [part.count for part in whole_parts(desk.client.storage, [again.id])] == [1]
    assert (
        adctl("results", again.id, "--csv").out
        == adctl("predict", "screw", str(photos / "good"), "--csv").out
    )


def test_many_pictures_are_submitted_in_a_moment(adctl, desk: Bench, tmp_path: Path) -> None:
    """None of them is read: only their names are."""
    many = tmp_path / "many"
    many.mkdir()
    Image.new("RGB", (8, 8)).save(many / "0.png")
    for number in range(1, 20_000):
        os.link(many / "0.png", many / f"{number}.png")

    began = time.process_time()
    job = submitted(adctl, desk, str(many))
    assert time.process_time() - began < 4.0
    assert job.spec.pictures is not None
    assert job.spec.pictures.count == 20_000
    assert len(json.dumps(job.spec.to_json())) < 5000
    desk.store.jobs.cancel(job.id)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("predict", "screw", "-", "--submit"), 2, "`-` is scored at once"),
        (("predict", "screw", "{good}", "--submit", "--out", "x"), 2, "adctl results JOB --out DIR"),
        (("predict", "screw", "--submit", "--watch", "{good}"), 2, "--watch is about what is scored here"),
        (("predict", "screw", "{good}", "--shard", "5"), 2, "--shard is about a job; add --submit"),
        (("predict", "screw", "{good}", "--queue", "gpu"), 2, "--queue is about a job; add --submit"),
        (("predict", "screw", "{good}", "--wait"), 2, "--wait is about a job; add --submit"),
        (("predict", "{model}", "{good}", "--submit"), 2, "is a folder, which no worker knows"),
        (("predict", "screw", "{good}", "--submit", "--device", "gpu"), 2, "not 'gpu'"),
        (("predict", "screw", "{good}", "--submit", "--queue", "a b"), 2, "a queue's name"),
        (("predict", "screw", "{good}", "--submit", "--rate", "0.01"), 2, "certify no rate"),
        (("predict", "screw", "{good}/nowhere", "--submit"), 2, "there is no file or folder"),
        (("results", "{train}"), 2, "is of kind train, and only a prediction has results of pictures"),
        (("results", "zzzz"), 2, "no job"),
    ],
)
def test_a_mistake_is_one_line(adctl, desk: Bench, placed: Placed, arguments, code, said) -> None:
    before = len(desk.store.jobs.search(kind=JobKind.PREDICT, limit=1000))
    named = {"good": placed.good, "model": placed.made.model, "train": placed.train.id}

    called = adctl(*(one.format(**named) for one in arguments))

    assert (called.code, called.out) == (code, "")
    assert said in called.err
    assert len(desk.store.jobs.search(kind=JobKind.PREDICT, limit=1000)) == before


@pytest.mark.parametrize(
    "call", [("promote", "{}"), ("submit", "evaluate", "{}"), ("submit", "--from", "{}")]
)
def test_a_prediction_is_no_model(adctl, desk: Bench, photos: Path, call) -> None:
    job = submitted(adctl, desk, str(photos / "good"))

    called = adctl(*(word.format(job.id) for word in call))

    assert called.code == 2
    assert "prediction" in called.err or "of kind predict" in called.err
    desk.store.jobs.cancel(job.id)


def test_its_folder_is_no_dataset(adctl, desk: Bench, photos: Path) -> None:
    submitted(adctl, desk, str(photos / "good"))

    assert str(photos) not in adctl("data", "list").out
    assert "good" not in {one.category for one in desk.client.holdings()}


def test_why_says_that_the_folder_is_on_no_node_with_a_worker(adctl, desk: Bench, photos: Path) -> None:
    job = submitted(adctl, desk, str(photos / "good"))
    far = WorkerRecord(id="far", node="there", pid=1, slots=1, detectors=("pixel_mean",))
    desk.store.workers.register(far)
    try:
        said = adctl("why", job.id).out
    finally:
        desk.store.workers.leave("far")
        desk.store.jobs.cancel(job.id)

    assert f"the images in {photos / 'good'} are not on a node with a fitting worker (there)" in said
    assert "submit again with --push, or with --shared if every node has that folder" in said


def test_a_shared_folder_may_be_scored_on_every_node(adctl, desk: Bench, photos: Path) -> None:
    own = submitted(adctl, desk, str(photos / "good"))
    shared = submitted(adctl, desk, str(photos / "good"), "--shared")

    def nodes(job) -> set[str]:
        held = desk.store.workers.holdings(fingerprint=job.spec.dataset.fingerprint)
        return {one.node for one in held}

    assert nodes(own) == {"here"}
    assert "here" in nodes(shared)
    assert own.spec.dataset.fingerprint != shared.spec.dataset.fingerprint


def test_pushed_pictures_may_be_scored_on_any_node(adctl, desk: Bench, photos: Path) -> None:
    job = submitted(adctl, desk, str(photos / "good"), "--push")
    (note,) = desk.store.pushed.all()
    assert (note.fingerprint, note.files, note.dataset) == (job.spec.dataset.fingerprint, 9, "")
    assert "photos" not in adctl("data", "list").out
    far = WorkerRecord(id="far", node="there", pid=1, slots=1, detectors=("pixel_mean",))
    desk.store.workers.register(far)
    try:
        assert "nothing keeps it" in adctl("why", job.id).out
    finally:
        desk.store.workers.leave("far")
        desk.store.jobs.cancel(job.id)
