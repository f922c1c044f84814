"""Promise 7: no half-written or damaged checkpoint is used: it is named, and the one before it is taken."""

import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import ad_migrations
from ad_platform.errors import CorruptBundle, GateRefused
from ad_platform.failpoints import Commit, Edge
from ad_platform.registry.promotion import promote
from ad_platform.specs import Submission
from ad_platform.states import FailureClass, JobKind, JobState
from ad_platform.storage import open_storage
from ad_platform.storage.checkpoints import Search, stored_checkpoints
from ad_platform.storage.contract import Storage
from ad_platform.storage.metrics import read_segments
from ad_platform.why.explaining import explain
from contract.storage.s3_server import CREDENTIALS, make_bucket, s3_server
from dying_writer import EVERY, KILLED, LAST, UPLOADS, Writers, attempt, check_fetched, measured, writers
from ground import OF_FILES, attempt_processes
from host_cluster import cluster_of_hosts
from job_stories import Stories
from mlflow_home import QUIET
from spoiling import spoilt
from two_homes import Homes, homes_on

pytestmark = [pytest.mark.timeout(300), *(pytest.mark.filterwarnings(words) for words in QUIET)]
EVERYDAY = "embedded"
DUE = 90.0  # seconds

# Killed at an edge of the writing itself: no platform but a store, and every edge in turn

OF_THE_FILES = {name: set(edges) for name, edges in OF_FILES.items()}
OF_BUNDLES = {Edge.MANIFEST, Edge.LISTED, Edge.REMOVE, Edge.UNLISTED}
OF_THE_ATTEMPT = {
    *(Edge.SAVE, Edge.SAVED, Edge.STORED),
    *(Commit.CHECKPOINT.before, Commit.CHECKPOINT.after, Commit.FORGET.before, Commit.FORGET.after),
}
# Where there is nothing yet that was not there at the edge before.
LIKE_BEFORE = {Edge.WRITING, Edge.UPLOADED, Edge.MANIFEST, Edge.SAVED}


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        with s3_server() as endpoint:
            make_bucket(endpoint, "bucket")
            yield f"s3://bucket/some/prefix?endpoint_url={endpoint}"


@pytest.fixture(scope="module")
def program(bucket: str) -> Iterator[Writers]:
    with writers(os.environ) as program:
        yield program


class Scenes:
    """Jobs whose first attempt dies somewhere, and whose second goes on."""

    def __init__(self, program: Writers, folder: Path, url: str, store_url: str = "") -> None:
        self.program, self.folder, self.url = program, folder, url
        self.stories = Stories(folder, store_url)
        self.storage: Storage = open_storage(url)
        self.stories.storage = self.storage

    def first(self, **how: object) -> tuple[str, int]:
        """Let the first attempt of a job be made, to its end or death; return the job and how it ended."""
        job = self.stories.submit()
        self.stories.lease(job)
        return job.id, self.program.attempt(self.stories, job.id, self.url, **how)

    def second(self, job_id: str) -> Search:
        """Let another attempt go on to the end; return from what it went on."""
        self.stories.time += 100
        assert job_id in [job.id for job in self.stories.store.leases.reap()]
        lease = self.stories.lease(self.stories.store.jobs.get(job_id), worker="w2")
        scratch = self.folder / f"scratch-{job_id}"
        found = attempt(self.stories, lease, scratch)
        check_fetched(scratch, found)
        self._check_ended(job_id)
        return found

    def _check_ended(self, job_id: str) -> None:
        """Check that the newest two checkpoints are there, whole, with one point for each step."""
        stored = stored_checkpoints(self.storage, job_id)
        manifests = [self.storage.fetch(prefix, self.folder / "fetched") for prefix in stored]
        assert [manifest.meta["step"] for manifest in manifests] == [LAST, LAST - EVERY]
        points = read_segments(self.storage, manifests[0])
        assert [(p.step, p.metrics["train/loss"]) for p in points] == [
            (step, measured(step)) for step in range(1, LAST + 1)
        ]
        # One that a killed attempt could not tell of is used all the same, and in nobody's record.
        recorded = {
            each.prefix: each.manifest_sha256 for each in self.stories.store.artifacts.checkpoints(job_id)
        }
        assert recorded.items() <= {manifest.prefix: manifest.sha256 for manifest in manifests}.items()


def edges_of_the_third_checkpoint(names: list[str]) -> list[str]:
    """Return NAME@HIT of every edge from the first of the third checkpoint to the first of the fourth."""
    starts = [place for place, name in enumerate(names) if name == Edge.SAVE]
    hits: Counter[str] = Counter()
    found = []
    for place, name in enumerate(names):
        hits[name] += 1
        if starts[2] <= place < starts[3]:
            found.append(f"{name}@{hits[name]}")
    return found


@pytest.fixture
def quick_disk() -> Iterator[Path]:
    """Give a folder in memory, where there is one: what is killed here is processes, not machines."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="adctl-edges-", dir=memory if os.access(memory, os.W_OK) else None))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.postgres
def test_killed_at_any_edge_with_store_and_storage_on_other_hosts_it_is_the_same(quick_disk: Path) -> None:
    with cluster_of_hosts(quick_disk / "hosts") as hosts, writers(os.environ) as program:
        store_url = hosts.environment["ADCTL_DATABASE_URL"]
        ad_migrations.upgrade(store_url)
        scenes = Scenes(program, quick_disk, hosts.environment["ADCTL_STORAGE_URL"], store_url)
        killed_at_edges(scenes, "s3", every_edge=True)
        scenes.stories.store.close()


@pytest.mark.parametrize("every_edge", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["folder", "s3"])
def test_killed_at_any_edge_of_a_checkpoint_the_next_attempt_goes_on_from_a_whole_one(
    program: Writers, bucket: str, quick_disk: Path, kind: str, every_edge: bool
) -> None:
    scenes = Scenes(program, quick_disk, str(quick_disk / "storage") if kind == "folder" else bucket)
    killed_at_edges(scenes, kind, every_edge=every_edge)


def killed_at_edges(scenes: Scenes, kind: str, *, every_edge: bool) -> None:
    trace = scenes.folder / "trace"
    assert scenes.first(trap=f"*:trace={trace}")[1] == 0
    edges = edges_of_the_third_checkpoint(trace.read_text().splitlines())
    of_storage = OF_THE_FILES[kind] | OF_BUNDLES
    assert {edge.partition("@")[0] for edge in edges} == of_storage | OF_THE_ATTEMPT
    if not every_edge:
        # What is not of the storage is tried on the folder.
        wanted = (of_storage if kind == "s3" else of_storage | OF_THE_ATTEMPT) - LIKE_BEFORE
        edges = [edge for edge in edges if edge.partition("@")[0] in wanted]
    went_on_from: Counter[int] = Counter()
    for edge in edges:
        job, ended = scenes.first(trap=f"{edge}:kill")
        assert ended == KILLED, edge
        found = scenes.second(job)
        assert found.manifest is not None, edge
        # What a kill leaves half-written is no checkpoint: nothing is even found broken.
        assert found.broken == (), edge
        went_on_from[int(str(found.manifest.meta["step"]))] += 1
    print(f"{kind}: killed at {len(edges)} edges, went on from {dict(went_on_from)}")
    assert set(went_on_from) == {2 * EVERY, 3 * EVERY}


def test_killed_while_a_large_state_is_sent_in_parts_the_next_attempt_goes_on_from_the_one_before(
    program: Writers, bucket: str, quick_disk: Path
) -> None:
    scenes, calls = Scenes(program, quick_disk, bucket), quick_disk / "calls"
    assert scenes.first(calls=str(calls), large=True)[1] == 0
    sent = calls.read_text().split("\n")
    assert [f"after {upload}@{hit}" in sent for upload, hit in zip(UPLOADS, (1, 3, 1), strict=True)] == [
        True
    ] * 3
    for moment in ("after upload_part@2", "before complete_multipart_upload@1"):
        job, ended = scenes.first(calls=str(calls), call=moment, large=True)
        assert ended == KILLED, moment
        found = scenes.second(job)
        assert found.manifest is not None, moment
        assert (found.manifest.meta["step"], found.broken) == (2 * EVERY, ()), moment


# Damaged afterwards, on a whole platform with MLflow

GATE, STEPS = 7, 12  # the step before which a job waits, when those of 2, 4 and 6 are its checkpoints


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest, folder: Path) -> Iterator[Homes]:
    with homes_on(request, folder) as homes:
        yield homes


@pytest.fixture(scope="module")
def worker(stack: Homes) -> "subprocess.Popen[bytes]":
    return stack.here.platform.start_worker(slots=len(DAMAGES))


def altered(file: Path, change: Callable[[bytes], bytes]) -> None:
    file.write_bytes(change(file.read_bytes()))


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def state_of(checkpoint: Path) -> Path:
    (file,) = checkpoint.glob("v-*/state.safetensors")
    return file


def lost_points(checkpoint: Path) -> None:
    job = checkpoint.parents[1]
    (file,) = (job / "metrics").glob("*5-*6-a1.jsonl")
    altered(file, lambda content: content[:-9])


def replaced(checkpoint: Path) -> None:
    """Put the checkpoint of step 4 in the place of that of step 6, which it then is to the last bit."""
    shutil.rmtree(checkpoint)
    shutil.copytree(checkpoint.with_name(checkpoint.name.replace("6-a", "4-a")), checkpoint)


# What befalls the newest checkpoint, and what is said of it then.
DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (
        lambda it: altered(state_of(it), lambda content: content[: len(content) // 2]),
        "state.safetensors has changed",
    ),
    "a bit flipped": (lambda it: altered(state_of(it), flipped), "state.safetensors has changed"),
    "a file gone": (lambda it: state_of(it).unlink(), "state.safetensors is missing"),
    "an empty manifest": (lambda it: (it / "manifest.json").write_bytes(b""), "manifest.json cannot be read"),
    "half a manifest": (
        lambda it: altered(it / "manifest.json", lambda content: content[: len(content) // 2]),
        "manifest.json cannot be read",
    ),
    "another step in the manifest": (
        lambda it: altered(it / "manifest.json", lambda content: content.replace(b'"step": 6', b'"step": 5')),
        "it has changed since it was written",
    ),
    "no manifest": (lambda it: (it / "manifest.json").unlink(), "has no manifest.json"),
    "another checkpoint in its place": (replaced, "not the one the store recorded"),
    "points gone": (lost_points, "has changed since it was written"),
}


def test_whatever_befell_the_newest_checkpoint_it_is_named_and_no_step_is_shown_twice_or_left_out(
    stack: Homes, worker: "subprocess.Popen[bytes]", tmp_path: Path
) -> None:
    land, gate = stack.here, tmp_path / "gate"
    jobs = {name: land.submit(trouble="gate", at=GATE, file=str(gate)) for name in DAMAGES}
    for job in jobs.values():
        land.reaches(job, GATE - 1)
    # MLflow shows the steps that will be taken back.
    land.platform.wait(
        lambda: all(len(stack.shown(job)) == 6 for job in jobs.values()), "MLflow shows all", DUE
    )
    for name, job in jobs.items():
        with spoilt(land.platform.settings.storage_url, f"jobs/{job}") as stored:
            DAMAGES[name][0](stored / land.stored(job)[0])
    for child in attempt_processes(worker.pid):
        child.kill()
    gate.touch()
    # By the end of its child, or of a lease that a busy machine did not renew just then.
    land.platform.wait(
        lambda: all(land.outcomes(job)[0] in ("failed", "lost") for job in jobs.values()), "all fail", DUE
    )
    stack.hurry()
    for name, job in jobs.items():
        assert land.ended(job).state is JobState.SUCCEEDED, name
        check_named(stack, job, DAMAGES[name][1])
        check_series(stack, job)
    said = land.platform("show", job)
    assert "broken, and passed over by attempt" in said
    assert f"jobs/{job}/checkpoints/000000006-a1" in said


def check_named(homes: Homes, job: str, what: str) -> None:
    """Check that the log, the store and the explanation of a job name its broken checkpoint."""
    land, broken = homes.here, f"jobs/{job}/checkpoints/000000006-a1"
    second = land.attempts(job)[1]
    assert second.facts["resumed_step"] == 4
    (line,) = second.passed_over
    assert line.startswith(broken)
    assert what in line
    assert f"passed over a checkpoint: {line}" in land.printed(job, 2)
    (told,) = explain(land.client, land.job(job)).lines[1:]
    assert told == f"attempt 2 went on from step 4, since what is newer cannot be used: {line}"


def check_series(homes: Homes, job: str) -> None:
    """Check that the curve is that of a straight run, and that only checkpoints on the way to it are left."""
    land = homes.here
    curve = {step: {"train/loss": 1 / step} for step in range(1, STEPS + 1)}
    assert homes.series(job) == curve
    assert [prefix.rsplit("/", 1)[1] for prefix in land.stored(job)] == ["000000012-a2", "000000010-a2"]
    land.platform.wait(lambda: homes.state_shown(job) == "FINISHED", f"MLflow shows {job}", DUE)
    assert homes.shown(job) == curve


def another(folder: Path) -> None:
    """Put in the place of a model what is a whole bundle, but not this one."""
    (manifest,) = folder.parents[1].glob("checkpoints/*12-a1/manifest.json")
    shutil.rmtree(folder)
    shutil.copytree(manifest.parent, folder)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda it: altered(state_of(it), flipped), "is broken: state.safetensors has changed"),
        (lambda it: (it / "manifest.json").write_bytes(b"{}"), "is broken: its manifest.json cannot be read"),
        (another, "is broken: its manifest is not the one that its job published"),
    ],
)
def test_a_damaged_model_is_neither_evaluated_nor_promoted_nor_fetched_to_predict_with(
    stack: Homes, worker: "subprocess.Popen[bytes]", damage: Callable[[Path], object], says: str
) -> None:
    land = stack.here
    job = land.ended(land.submit())
    bundle = str(job.result["bundle"])
    with spoilt(land.platform.settings.storage_url, f"jobs/{job.id}") as stored:
        damage(stored / bundle)
    spec = replace(job.spec, kind=JobKind.EVALUATE, source=job.id, checkpoint_every=None)
    evaluation = land.client.submit([Submission(spec=spec, user="ann", max_attempts=1)]).jobs[0]
    with pytest.raises(GateRefused, match=bundle):
        promote(land.client.store, land.storage, job, "champion", "ann", force=True, reason="it must go")
    with pytest.raises(CorruptBundle, match=bundle):
        land.client.files(job)
    ended = land.ended(evaluation.id)
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.INFRA)
    assert ended.error.startswith(f"{bundle} {says}")
