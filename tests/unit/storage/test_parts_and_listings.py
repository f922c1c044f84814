"""What a prediction has scored, part by part, is one row a picture whatever overlaps or is missing."""

import json
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from ad_platform.errors import CorruptBundle, InvalidValue
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from ad_platform.storage.folder import FolderBlobs
from ad_platform.storage.layout import listing_path
from ad_platform.storage.listings import Listing, read_listing, write_listing
from ad_platform.storage.parts import ROWS, Part, end_of, in_a_row, rows_of, whole_parts

PARTS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 12), st.sampled_from("ab")).map(
        lambda of: Part(job_id=of[2], first=of[0], count=of[1])
    ),
    max_size=12,
)


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return BundleStorage(FolderBlobs(tmp_path / "storage"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # a busy machine
@given(parts=PARTS, order=st.randoms(use_true_random=False))
def test_each_picture_up_to_the_first_gap_has_one_row_whatever_overlaps(parts, order) -> None:
    uses = in_a_row(parts)

    numbers = [number for use in uses for number in range(use.part.first + use.skip, use.part.end)]
    covered = {number for part in parts for number in range(part.first, part.end)}
    gap = next(number for number in range(50) if number not in covered)
    assert numbers == list(range(gap))
    assert end_of(uses) == gap
    shuffled = list(parts)
    order.shuffle(shuffled)
    assert in_a_row(shuffled) == uses


def publish(storage: Storage, part: Part, folder: Path, rows: int | None = None) -> None:
    folder.mkdir()
    lines = range(part.first, part.first + (part.count if rows is None else rows))
    (folder / ROWS).write_text("".join(f"{json.dumps(number)}\n" for number in lines))
    storage.publish(part.prefix, folder)


def test_only_whole_parts_count_and_their_rows_are_read_once(storage: Storage, tmp_path: Path) -> None:
    for number, part in enumerate((Part(job_id="a", first=0, count=5), Part(job_id="b", first=3, count=4))):
        publish(storage, part, tmp_path / str(number))
    storage.write("jobs/b/parts/000000007-000003/v-1/scores.jsonl", b"half")  # without its manifest

    uses = in_a_row(whole_parts(storage, ["b", "a"]))

    scratch = tmp_path / "scratch"
    assert [json.loads(line) for use in uses for line in rows_of(storage, use, scratch)] == list(range(7))
    assert not list(scratch.iterdir())


def test_a_part_that_lacks_rows_is_named(storage: Storage, tmp_path: Path) -> None:
    part = Part(job_id="a", first=0, count=5)
    publish(storage, part, tmp_path / "a", rows=4)
    with pytest.raises(CorruptBundle, match="jobs/a/parts/000000000-000005 is broken: 4 rows instead of 5"):
        list(rows_of(storage, in_a_row([part])[0], tmp_path / "scratch"))


def test_a_listing_is_named_by_its_content_and_checked(storage: Storage) -> None:
    listing = Listing(folder="/photos", names=["a.png", "b/c\n.png", "\udcff.png"], node="here")
    fingerprint = write_listing(storage, listing)
    assert fingerprint == listing.fingerprint == write_listing(storage, listing)
    assert read_listing(storage, fingerprint) == listing
    elsewhere = Listing(folder="/photos", names=listing.names, node="there")
    assert elsewhere.fingerprint != fingerprint

    storage.write(listing_path(fingerprint), b"other")
    with pytest.raises(CorruptBundle, match="has changed"):
        read_listing(storage, fingerprint)
    with pytest.raises(CorruptBundle, match="is missing: submit the prediction again"):
        read_listing(storage, elsewhere.fingerprint)
    with pytest.raises(InvalidValue, match="names no listing"):
        read_listing(storage, "../secret")
