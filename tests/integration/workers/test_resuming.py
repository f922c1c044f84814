"""A fit goes on from its newest whole checkpoint, whatever befell the disk or the file."""

from pathlib import Path

import pytest

from ad_platform.states import FailureClass, JobState
from ad_platform.storage.metrics import read_segments
from ground import Ground

pytestmark = [pytest.mark.redis, pytest.mark.timeout(200)]


def whole_series(land: Ground, job: str) -> list[int]:
    """Return the steps that the newest checkpoint of a job commits."""
    manifest = land.storage.manifest(land.stored(job)[0])
    assert manifest is not None
    return [point.step for point in read_segments(land.storage, manifest)]


def fill(file: Path) -> None:
    """Write until there is no room left."""
    with file.open("wb", buffering=0) as writer:
        while True:
            writer.write(b"x" * 65536)


def test_a_retry_goes_on_from_the_checkpoints_of_the_failed_job_with_its_whole_series(land: Ground, tmp_path):
    over = tmp_path / "over"
    failed = land.submit(trouble="raise", at=8, file=str(over))
    assert land.ended(failed).state is JobState.FAILED
    over.touch()
    retried = land.client.retry(failed).jobs[0].id
    assert land.ended(retried).state is JobState.SUCCEEDED
    assert land.attempts(retried)[0].facts["resumed_step"] == 6
    assert land.steps(retried) == list(range(7, 13))
    assert whole_series(land, retried) == list(range(1, 13))


def test_a_full_disk_fails_the_job_with_that_reason_and_a_retry_goes_on_from_the_last_checkpoint(
    land: Ground, shared, tmp_path
):
    if not shared.small_disk:
        pytest.skip("a small disk cannot be mounted here: not root, or not allowed to")
    gate = tmp_path / "gate"
    job = land.submit(trouble="gate", at=5, file=str(gate))
    land.says(job, "made step 4")
    land.reaches(job, 4)
    filler = Path(land.platform.settings.storage_url) / "filler"
    with pytest.raises(OSError, match="No space left"):
        fill(filler)
    gate.touch()
    try:
        ended = land.ended(job)
    finally:
        filler.unlink()
    assert (ended.state, ended.failure) == (JobState.FAILED, FailureClass.DISK)
    assert "no room left to write" in ended.error
    assert land.outcomes(job) == ["failed"]
    retried = land.client.retry(job).jobs[0].id
    assert land.ended(retried).state is JobState.SUCCEEDED
    assert land.attempts(retried)[0].facts["resumed_step"] == 4
    assert whole_series(land, retried) == list(range(1, 13))
