"""What is kept in the storage: checkpoints, metric segments, logs and stages."""

import json
from pathlib import Path

import pytest

from ad_platform.errors import CorruptBundle, InvalidValue
from ad_platform.records import CheckpointRecord
from ad_platform.storage.checkpoints import (
    Search,
    abandoned,
    fetch_latest,
    latest_valid,
    newest_first,
    search,
    stored_checkpoints,
    superseded,
)
from ad_platform.storage.contract import Manifest, Storage
from ad_platform.storage.layout import CheckpointName, checkpoint_prefix
from ad_platform.storage.logs import LogWriter, read_log
from ad_platform.storage.metrics import Point, read_segments, write_segment
from ad_platform.storage.stages import fetch_stage, publish_stage

KEY = "ab" * 32


def checkpoint(storage: Storage, folder: Path, step: int, attempt: int = 1) -> Manifest:
    (folder / "state.json").write_text(json.dumps({"step": step, "attempt": attempt}))
    return storage.publish(checkpoint_prefix("j1", step, attempt), folder, {"step": step})


def record(manifest: Manifest) -> CheckpointRecord:
    name = CheckpointName.parse(manifest.prefix)
    return CheckpointRecord(
        job_id=name.job_id,
        attempt=name.attempt,
        step=name.step,
        prefix=manifest.prefix,
        manifest_sha256=manifest.sha256,
        size=manifest.size,
    )


def spoil(storage: Storage, prefix: str) -> None:
    """Put other bytes into a file of a bundle than its manifest promises."""
    content = storage.read(f"{prefix}/manifest.json")
    assert content is not None
    storage.write(f"{prefix}/{json.loads(content)['folder']}/state.json", b"{}")


def test_checkpoints_are_named_by_step_and_attempt() -> None:
    assert checkpoint_prefix("j1", 12, 3) == "jobs/j1/checkpoints/000000012-a3"
    assert CheckpointName.parse("jobs/j1/checkpoints/000000012-a3").step == 12
    with pytest.raises(InvalidValue, match="is not a checkpoint"):
        CheckpointName.parse("jobs/j1/model/a3")


def test_checkpoints_sort_by_step_then_attempt_as_numbers() -> None:
    prefixes = [
        checkpoint_prefix("j", step, attempt) for step, attempt in [(9, 2), (10, 9), (10, 10), (2, 1)]
    ]
    assert [CheckpointName.parse(p).attempt for p in newest_first(prefixes)] == [10, 9, 2, 1]


def test_the_storage_knows_its_checkpoints_without_the_store(storage: Storage, folder: Path) -> None:
    assert stored_checkpoints(storage, "j1") == []
    found = [checkpoint(storage, folder, step).prefix for step in (10, 20)]
    storage.write("jobs/j1/checkpoints/000000030-a1/half", b"")
    assert stored_checkpoints(storage, "j1") == found[::-1]


def test_a_broken_checkpoint_is_named_and_the_one_before_it_taken(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    ten, twenty = checkpoint(storage, folder, 10), checkpoint(storage, folder, 20)
    spoil(storage, twenty.prefix)
    found = fetch_latest(storage, [ten.prefix, twenty.prefix], tmp_path / "out")
    assert found is not None
    assert found.prefix == ten.prefix
    (line,) = found.broken
    assert "000000020-a1 is broken: state.json has changed" in line
    assert json.loads((tmp_path / "out" / "000000010-a1" / "state.json").read_text())["step"] == 10


def test_a_checkpoint_whose_manifest_is_not_the_recorded_one_is_broken(
    storage: Storage, folder: Path
) -> None:
    ten, twenty = checkpoint(storage, folder, 10), checkpoint(storage, folder, 20)
    checkpoint(storage, folder, 20, attempt=1)
    forged = record(checkpoint(storage, folder, 20))
    assert latest_valid(storage, [record(ten), forged]).prefix == twenty.prefix  # type: ignore[union-attr]
    stale = CheckpointRecord(**{**vars(forged), "manifest_sha256": "0" * 64})
    found = latest_valid(storage, [record(ten), stale])
    assert found is not None
    assert (found.prefix, len(found.broken)) == (ten.prefix, 1)


def test_no_whole_checkpoint_means_none(storage: Storage, folder: Path) -> None:
    only = checkpoint(storage, folder, 10)
    spoil(storage, only.prefix)
    assert latest_valid(storage, [only.prefix]) is None
    assert latest_valid(storage, []) is None


def test_retention_keeps_the_newest_two(storage: Storage, folder: Path) -> None:
    prefixes = [checkpoint(storage, folder, step).prefix for step in (10, 20, 30, 40)]
    assert superseded(storage, prefixes) == [prefixes[1], prefixes[0]]
    assert superseded(storage, prefixes, trusted=prefixes[3]) == [prefixes[1], prefixes[0]]
    assert superseded(storage, prefixes[:2]) == []


def test_retention_never_takes_the_newest_valid_one(storage: Storage, folder: Path) -> None:
    prefixes = [checkpoint(storage, folder, step).prefix for step in (10, 20, 30, 40)]
    for broken in prefixes[2:]:
        spoil(storage, broken)
    assert superseded(storage, prefixes) == [prefixes[0]]
    for broken in prefixes[:2]:
        spoil(storage, broken)
    assert superseded(storage, prefixes) == []


def points(first: int, last: int) -> list[Point]:
    return [Point(step=s, time=1e9 + s / 7, metrics={"train/loss": 1 / s}) for s in range(first, last + 1)]


def commit(storage: Storage, folder: Path, *ranges: tuple[int, int]) -> Manifest:
    written = [write_segment(storage, "j1", 1, points(*steps)).to_json() for steps in ranges]
    return storage.publish(checkpoint_prefix("j1", ranges[-1][1], 1), folder, {"segments": written})


def test_segments_come_back_exactly_and_in_order(storage: Storage, folder: Path) -> None:
    manifest = commit(storage, folder, (1, 9), (10, 12))
    assert storage.names("jobs/j1/metrics")[0] == "jobs/j1/metrics/000000001-000000009-a1.jsonl"
    assert read_segments(storage, manifest) == points(1, 12)
    assert read_segments(storage, manifest, after=5) == points(6, 12)
    again = storage.manifest(manifest.prefix)
    assert again is not None
    assert read_segments(storage, again) == points(1, 12)


def test_a_checkpoint_whose_own_points_are_lost_is_passed_over_for_the_one_before_it(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    older, newer = commit(storage, folder, (1, 3)), commit(storage, folder, (1, 3), (4, 5))
    known = {older.prefix: older.sha256, newer.prefix: newer.sha256}
    storage.write("jobs/j1/metrics/000000004-000000005-a1.jsonl", b"{}")
    found = search(storage, known, tmp_path / "out")
    assert found.manifest == older
    (line,) = found.broken
    assert line.startswith(
        f"{newer.prefix} is broken: jobs/j1/metrics/000000004-000000005-a1.jsonl has chang"
    )
    # Where none before it is whole, points that are lost do not cost the training.
    spoil(storage, older.prefix)
    found = search(storage, known, tmp_path / "out")
    assert found.manifest == newer
    (line,) = found.broken
    assert line.startswith(f"{older.prefix} is broken: state.json has changed")


def test_a_recorded_checkpoint_that_is_gone_is_named(storage: Storage, folder: Path, tmp_path: Path) -> None:
    older, newer = commit(storage, folder, (1, 3)), commit(storage, folder, (1, 3), (4, 5))
    storage.remove(newer.prefix)
    found = search(storage, {older.prefix: None, newer.prefix: newer.sha256}, tmp_path / "out")
    assert found.manifest == older
    assert found.broken == (f"{newer.prefix} has no manifest.json: it was never finished, or was removed",)
    assert search(storage, {}, tmp_path / "out") == Search()


def test_an_attempt_abandons_what_earlier_ones_wrote_beyond_the_checkpoint_it_goes_on_from() -> None:
    written = [checkpoint_prefix("j", step, attempt) for step, attempt in [(4, 1), (6, 1), (8, 2), (5, 3)]]
    four, six, eight, _ = written
    assert abandoned(written, 3, four) == [eight, six]
    assert abandoned(written, 3, eight) == []
    assert abandoned(written, 3, None) == [eight, six, four]
    assert abandoned(written, 3, checkpoint_prefix("the job it retries", 9, 1)) == [eight, six, four]


def test_a_changed_or_missing_segment_is_named(storage: Storage, folder: Path) -> None:
    manifest = commit(storage, folder, (1, 3), (4, 5))
    storage.write("jobs/j1/metrics/000000004-000000005-a1.jsonl", b"{}")
    with pytest.raises(CorruptBundle, match=r"000000004-000000005-a1\.jsonl has changed"):
        read_segments(storage, manifest)
    storage.remove("jobs/j1/metrics")
    with pytest.raises(CorruptBundle, match=r"000000001-000000003-a1\.jsonl is missing"):
        read_segments(storage, manifest)


def test_a_manifest_with_strange_segments_is_broken(storage: Storage, folder: Path) -> None:
    manifest = storage.publish(checkpoint_prefix("j1", 1, 1), folder, {"segments": [{"path": 3}]})
    with pytest.raises(CorruptBundle, match="segments that cannot be read"):
        read_segments(storage, manifest)


def test_a_segment_without_points_is_refused(storage: Storage) -> None:
    with pytest.raises(InvalidValue, match="at least one point"):
        write_segment(storage, "j1", 1, [])


def test_a_log_is_followed_chunk_by_chunk(storage: Storage) -> None:
    writer = LogWriter(storage, "j1", 2)
    assert read_log(storage, "j1", 2).content == b""
    writer.append(b"one\n")
    writer.append(b"")
    writer.append(b"two\xff\n")
    part = read_log(storage, "j1", 2)
    assert (part.content, part.next_chunk) == (b"one\ntwo\xff\n", 2)
    writer.append(b"three\n")
    assert read_log(storage, "j1", 2, part.next_chunk).content == b"three\n"
    assert read_log(storage, "j1", 1).content == b""


def test_a_writer_that_starts_again_appends(storage: Storage) -> None:
    LogWriter(storage, "j1", 1).append(b"one")
    LogWriter(storage, "j1", 1).append(b"two")
    assert read_log(storage, "j1", 1).content == b"onetwo"


def test_a_stage_is_fetched_by_its_key_and_the_first_one_stands(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    assert fetch_stage(storage, KEY, tmp_path / "out") is None
    first = publish_stage(storage, KEY, folder, {"stage": "denoiser"})
    (folder / "state.json").write_text("other")
    assert publish_stage(storage, KEY, folder) == first
    assert fetch_stage(storage, KEY, tmp_path / "out") == first


def test_a_broken_stage_counts_as_absent_and_can_be_published_anew(
    storage: Storage, folder: Path, tmp_path: Path
) -> None:
    publish_stage(storage, KEY, folder)
    spoil(storage, f"stages/{KEY}")
    told: list[str] = []
    assert fetch_stage(storage, KEY, tmp_path / "out", told.append) is None
    assert [line.partition(" (")[0] for line in told] == [f"stages/{KEY} is broken: state.json has changed"]
    publish_stage(storage, KEY, folder)
    assert fetch_stage(storage, KEY, tmp_path / "out") is not None
    storage.write(f"stages/{KEY}/manifest.json", b"{")
    assert fetch_stage(storage, KEY, tmp_path / "out2") is None


@pytest.mark.parametrize("key", ["", "../x", "ABCDEF0123456789", "xyz"])
def test_a_stage_key_must_be_a_hash(storage: Storage, folder: Path, key: str) -> None:
    with pytest.raises(InvalidValue, match="not the key of a stage"):
        publish_stage(storage, key, folder)
