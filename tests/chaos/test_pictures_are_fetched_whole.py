"""A worker without the pictures trains from what was pushed, though it is killed while they come."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform.errors import InvalidData
from ad_platform.failpoints import Edge
from ad_platform.states import JobState
from ground import Ground

pytestmark = pytest.mark.timeout(240)
EVERYDAY = "embedded"


def test_a_worker_without_the_pictures_trains_from_the_storage_though_it_dies_while_they_come(
    land: Ground, tmp_path: Path
) -> None:
    once = tmp_path / "once"
    first = land.platform.start_worker()  # tells the store of the detector, and sees no pictures
    first.terminate()
    first.wait(30)
    folder = land.pictures("pushed")
    ask = land.asked(folder, every=4)
    land.client.push(ask.dataset)
    (planned,) = land.client.plan_train(ask)
    shutil.rmtree(folder)
    # Not sooner, or it might see them before they are gone.
    worker = land.platform.start_worker(trap=f"child/{Edge.FETCHED}@2:kill={once}")
    job = land.client.submit([planned]).jobs[0].id
    assert land.client.holdings() == []  # its node has them not

    ended = land.ended(job)
    assert ended.state is JobState.SUCCEEDED
    assert once.exists()
    assert land.outcomes(job) == ["failed", "succeeded"]
    places = [home / "cache" / "fetched" / ask.dataset.fingerprint for home in land.platform.homes]
    (kept,) = [place for place in places if place.exists()]
    assert len([path for path in (kept / "pictures").rglob("*.png") if path.is_file()]) == 4
    assert (kept / "whole").exists()

    # A second job on the same pictures needs the storage for nothing, and one on broken ones says so.
    land.storage.remove("data/blobs")
    again = replace(ask, seed=next(land.numbers))
    assert land.ended(land.client.submit_train(again).jobs[0].id).state is JobState.SUCCEEDED
    shutil.rmtree(kept.parent)
    lost = land.ended(land.client.submit_train(replace(ask, seed=next(land.numbers))).jobs[0].id)
    assert (lost.state, lost.failure) == (JobState.FAILED, "data")
    assert "is missing in the storage" in lost.error
    with pytest.raises(InvalidData):
        land.client.push(ask.dataset)
    worker.terminate()
    worker.wait(30)
