"""What lies in the storage and on the disk for nobody, and what is recorded and not there."""

import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ad_platform.doctor.findings import Level
from ad_platform.errors import StorageDown
from ad_platform.records import StageRecord
from ad_platform.stack.places import Places
from ad_platform.storage.folder import FolderBlobs
from ad_platform.storage.layout import checkpoint_prefix, model_prefix, stage_prefix
from ward import HOUR, Ward, aged, killed

DIE_WRITING = """
import os, signal, stat, sys
from pathlib import Path
from ad_platform.storage.engine import open_storage
from ad_platform.storage.folder import FolderBlobs
root, prefix, source, where = sys.argv[1:]
storage = open_storage(root)
if where == "manifest":
    put = FolderBlobs.put
    FolderBlobs.put = lambda *a: os.kill(os.getpid(), signal.SIGKILL)
else:
    os.fsync = lambda h: stat.S_ISREG(os.fstat(h).st_mode) and os.kill(os.getpid(), signal.SIGKILL)
storage.publish(prefix, Path(source))
"""


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    made = Ward(tmp_path)
    yield made
    made.close()


def die_writing(ward: Ward, prefix: str, where: str) -> None:
    """Have a process be killed while it publishes a bundle: before its manifest, or inside a file."""
    source = ward.folder / "source"
    source.mkdir(exist_ok=True)
    (source / "state.safetensors").write_text("weights")
    arguments = [ward.settings.storage_url, prefix, str(source), where]
    done = subprocess.run([sys.executable, "-c", DIE_WRITING, *arguments], check=False)
    assert done.returncode == -signal.SIGKILL


def test_whole_bundles_of_ended_and_running_jobs_are_in_order(ward: Ward) -> None:
    ward.stories.trained()
    ward.stories.checkpoint(ward.stories.lease(ward.stories.submit()), 3)
    assert ward.look("storage", "scratch", "sockets") == []


def test_a_checkpoint_without_a_manifest_is_removed_unless_its_attempt_may_be_writing_it(
    ward: Ward,
) -> None:
    job = ward.stories.submit()
    lease = ward.stories.lease(job)
    kept = ward.stories.checkpoint(lease, 3)
    prefix = checkpoint_prefix(job.id, 6, 1)
    die_writing(ward, prefix, "manifest")
    assert ward.look("storage") == []  # attempt 1 holds the job
    ward.store.leases.give_back(lease, "drained")

    ward.mends(("no-manifest", prefix), names=["storage"])

    assert ward.storage.bundles(f"jobs/{job.id}/checkpoints") == [kept.prefix]


def test_a_bundle_that_somebody_may_write_again_is_not_removed_behind_his_back(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.store.leases.give_back(ward.stories.lease(job), "drained")
    prefix = f"jobs/{job.id}/parts/000000000-000010"  # of no attempt in particular
    die_writing(ward, prefix, "manifest")
    assert ward.look("storage") == []
    die_writing(ward, model_prefix(job.id, 2), "manifest")
    (found,) = ward.look("storage")
    ward.stories.lease(job)  # attempt 2
    assert found.mending is not None
    with pytest.raises(Exception, match="may be writing it"):
        found.mending.do()
    assert ward.look("storage") == []


def test_a_temporary_file_of_a_killed_writer_is_removed_after_an_hour(ward: Ward) -> None:
    job = ward.stories.trained(None)
    die_writing(ward, checkpoint_prefix(job.id, 9, 1), "file")
    (part,) = (ward.folder / "storage").rglob(".writing-*")
    folder = checkpoint_prefix(job.id, 9, 1)
    assert ward.kinds("storage") == [("no-manifest", folder)]
    aged(part, 2 * HOUR)
    name = str(part.relative_to(ward.folder / "storage"))
    ward.mends(("no-manifest", folder), ("temporary-file", name), names=["storage"])
    assert not part.exists()


def test_a_recorded_checkpoint_that_is_gone_is_forgotten_and_a_broken_one_named(ward: Ward) -> None:
    job = ward.stories.submit()
    lease = ward.stories.lease(job)
    first = ward.stories.checkpoint(lease, 3)
    second = ward.stories.checkpoint(lease, 6, first)
    ward.store.leases.give_back(lease, "drained")
    ward.storage.remove(second.prefix)
    manifest = ward.folder / "storage" / first.prefix / "manifest.json"
    manifest.write_text("{")

    assert ward.kinds("storage") == [("broken-checkpoint", first.prefix), ("lost-checkpoint", second.prefix)]
    mended = ward.fix("storage")

    assert [(each.finding.subject, each.fixed) for each in mended.attempted] == [(second.prefix, True)]
    assert [one.prefix for one in ward.store.artifacts.checkpoints(job.id)] == [first.prefix]
    assert "cannot be read" in mended.found[0].words


def test_a_recorded_stage_that_is_gone_is_forgotten(ward: Ward) -> None:
    lease = ward.stories.lease(ward.stories.submit())
    for key, there in (("a" * 16, True), ("b" * 16, False)):
        folder = ward.folder / "stage"
        folder.mkdir(exist_ok=True)
        (folder / "w").write_text(key)
        manifest = ward.storage.publish(stage_prefix(key), folder)
        ward.store.artifacts.record_stage(
            lease,
            StageRecord(
                key=key,
                detector="ddad",
                stage="denoiser",
                job_id=lease.job_id,
                manifest_sha256=manifest.sha256,
                size=1,
            ),
        )
        if not there:
            ward.storage.remove(stage_prefix(key))
    ward.mends(("lost-stage", "b" * 16), names=["storage"])
    assert [one.key for one in ward.store.audit.stages(9)] == ["a" * 16]


def test_files_of_jobs_nobody_knows_are_named_for_gc_and_left(ward: Ward) -> None:
    ward.stories.trained(None)
    ward.storage.write("jobs/deadbeef/logs/a1/000000.txt", b"x")
    (found,) = ward.look("storage")
    assert (found.kind, found.mending) == ("files-of-no-job", None)
    assert "deadbeef" in found.words
    assert "adctl gc" in found.remedy
    assert ward.storage.read("jobs/deadbeef/logs/a1/000000.txt") == b"x"


def test_an_unfinished_stage_is_named_once_no_job_runs(ward: Ward) -> None:
    job = ward.stories.submit()
    lease = ward.stories.lease(job)
    die_writing(ward, stage_prefix("c" * 16), "manifest")
    assert ward.look("storage") == []
    ward.store.leases.give_back(lease, "drained")
    assert ward.kinds("storage") == [("no-manifest", stage_prefix("c" * 16))]


def test_a_storage_that_is_slow_is_looked_at_in_part_and_the_rest_is_said(ward: Ward) -> None:
    for _ in range(3):
        ward.store.leases.give_back(
            ward.stories.lease(ward.stories.trained(None) and ward.stories.submit()), "x"
        )
    ward.ground = ward.new_ground(monotonic=iter(range(0, 10_000, 10)).__next__)
    said = [finding.words for _, look in ward.looks("storage") for finding in look()]
    assert any("not looked at" in words and "--deep" in words for words in said)
    ward.ground = ward.new_ground(monotonic=iter(range(0, 10_000, 10)).__next__, deep=True)
    assert [finding.words for _, look in ward.looks("storage") for finding in look()] == []


def test_a_storage_that_is_down_is_left_to_the_look_that_says_so(ward: Ward, monkeypatch) -> None:
    ward.stories.trained(None)

    def down(*arguments: object) -> None:
        raise StorageDown("away")

    monkeypatch.setattr(FolderBlobs, "get", down)
    assert ward.look("storage") == []


def test_scratch_folders_of_attempts_that_do_not_run_are_removed(ward: Ward) -> None:
    job = ward.stories.submit()
    ward.store.leases.give_back(ward.stories.lease(job), "drained")
    ward.stories.lease(job)
    place = ward.settings.home / "scratch"
    for mark, age in ((f"{job.id}-a1", HOUR), (f"{job.id}-a2", HOUR), ("ffff-a1", HOUR), ("eeee-a1", 5)):
        (place / mark / "resume").mkdir(parents=True)
        (place / mark / "resume" / "file").write_text("x")
        aged(place / mark, age)
    (place / "mine").mkdir()

    ward.mends(("scratch-folder", f"{job.id}-a1"), ("scratch-folder", "ffff-a1"), names=["scratch"])

    assert sorted(folder.name for folder in place.iterdir()) == sorted([f"{job.id}-a2", "eeee-a1", "mine"])


def test_a_scratch_folder_whose_attempt_begins_meanwhile_is_left(ward: Ward) -> None:
    job = ward.stories.submit()
    folder = ward.settings.home / "scratch" / f"{job.id}-a1"
    folder.mkdir(parents=True)
    aged(folder, HOUR)
    (found,) = ward.look("scratch")
    ward.stories.lease(job)
    assert found.mending is not None
    with pytest.raises(Exception, match="holds the job after all"):
        found.mending.do()
    assert folder.is_dir()


def test_old_logs_that_are_whole_in_the_storage_are_removed_here(ward: Ward) -> None:
    job = ward.stories.trained(None)  # whose attempt has printed one line
    other = ward.stories.submit()
    ward.stories.lease(other)
    place = ward.settings.home / "logs" / "jobs"
    place.mkdir(parents=True)
    for name, text, age in (
        (f"{job.id}-a1", "attempt 1 starts\n", 200 * HOUR),
        (f"{job.id}-a2", "not in the storage\n", 200 * HOUR),
        (f"{other.id}-a1", "attempt 1 starts\n", 200 * HOUR),  # at work
        ("ffff-a1", "", HOUR),
    ):
        (place / f"{name}.log").write_text(text)
        aged(place / f"{name}.log", age)
    (found,) = [finding for _, look in ward.looks("logs") for finding in look()]
    assert (found.level, found.kind) == (Level.OK, "copied-logs")
    assert found.mending is not None
    assert found.mending.do() == "1 were removed"
    assert sorted(file.stem for file in place.iterdir()) == sorted(
        [f"{job.id}-a2", f"{other.id}-a1", "ffff-a1"]
    )
    assert [finding for _, look in ward.looks("logs") for finding in look()] == []


def test_sockets_of_the_killed_and_their_process_files_are_removed(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp")
    ward = Ward(tmp_path)
    places = Places(ward.settings)
    places.make()
    try:
        bells = ward.settings.run_dir / "bells-0"
        bells.mkdir()
        heard, deaf = bells / "heard", [bells / "deaf", places.control]
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(heard))
            listener.listen(1)
            for door in deaf:
                with socket.socket(socket.AF_UNIX) as dead:
                    dead.bind(str(door))
            places.pid_file.write_text(str(killed()))
            ward.mends(
                *(("dead-socket", str(door)) for door in deaf),
                ("dead-pid-file", str(places.pid_file)),
                names=["sockets"],
            )
            assert heard.exists()
    finally:
        for door in (*deaf, heard):
            door.unlink(missing_ok=True)
        bells.rmdir()
        places.settings.run_dir.rmdir()
        ward.close()


def test_without_a_store_nothing_is_compared_and_nothing_made(tmp_path: Path) -> None:
    from ad_cli.comparisons import comparing, ground_of
    from ad_platform import settings as environment

    settings = environment.load({"ADCTL_HOME": str(tmp_path)})
    with ground_of(settings, deep=False) as ground:
        found = [finding for _, look in comparing(ground) for finding in look()]
    assert [finding for finding in found if finding.level is not Level.OK] == []
    assert list(tmp_path.iterdir()) == []
