"""Decoded pictures are made once, are whole or not there, and take no more room than allowed."""

import multiprocessing
import os
import signal
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import caching
from ad_detectors.data import cache
from ad_detectors.data.cache import Wanted, limit_from_environment, mapped
from ad_detectors.errors import ConfigError, DataError, NoRoom
from caching import is_right, wanted

SPAWN = multiprocessing.get_context("spawn")
FILE = 4 * 100 + 128  # bytes of an array of four rows, with its header


def arrays(folder: Path) -> set[str]:
    return {file.stem for file in folder.glob("*.npy")}


def litter(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir() if file.suffix not in {".npy", ".lock"})


def last_used(folder: Path, *names: str) -> None:
    """Let these files have been used long ago, in this order."""
    for moment, name in enumerate(names):
        os.utime(folder / f"{name}.npy", (moment, moment))


def test_several_processes_at_once_make_an_array_once(tmp_path: Path) -> None:
    folder, made, start = tmp_path / "cache", tmp_path / "made", SPAWN.Barrier(3)
    made.mkdir()
    crowd = [SPAWN.Process(target=caching.together, args=(folder, made, start)) for _ in range(3)]
    for process in crowd:
        process.start()
    for process in crowd:
        process.join(60)
    assert [process.exitcode for process in crowd] == [0, 0, 0]
    assert len(list(made.iterdir())) == 1
    assert litter(folder) == []


def test_a_maker_killed_half_way_leaves_nothing_and_who_waits_goes_on(tmp_path: Path) -> None:
    begun = SPAWN.Event()
    maker = SPAWN.Process(target=caching.half, args=(tmp_path, begun))
    maker.start()
    assert begun.wait(60)
    assert len(litter(tmp_path)) == 1, "half of it lies there"
    assert arrays(tmp_path) == set()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(mapped, tmp_path, wanted("victim", 20_000))
        assert maker.pid is not None
        os.kill(maker.pid, signal.SIGKILL)
        maker.join(60)
        assert is_right("victim", waiting.result(60))
    assert maker.exitcode == -signal.SIGKILL
    assert litter(tmp_path) == []


def test_a_file_that_another_process_uses_can_be_removed_without_harm(tmp_path: Path) -> None:
    held, evicted = SPAWN.Event(), SPAWN.Event()
    reader = SPAWN.Process(target=caching.hold, args=(tmp_path, held, evicted))
    reader.start()
    assert held.wait(60)
    mapped(tmp_path, wanted("other"), limit=FILE)
    assert arrays(tmp_path) == {"other"}
    evicted.set()
    reader.join(60)
    assert reader.exitcode == 0


def test_what_was_unused_for_longest_goes_first(tmp_path: Path) -> None:
    for name in "abc":
        mapped(tmp_path, wanted(name))
    last_used(tmp_path, "b", "c", "a")
    mapped(tmp_path, wanted("b"))
    mapped(tmp_path, wanted("d"), limit=3 * FILE)
    assert arrays(tmp_path) == {"a", "b", "d"}, "b was used again, so c was the oldest"
    mapped(tmp_path, wanted("e"), limit=2 * FILE)
    assert len(arrays(tmp_path)) == 2
    assert "e" in arrays(tmp_path)


def test_an_array_larger_than_the_bound_is_served_and_makes_room_for_the_next(tmp_path: Path) -> None:
    mapped(tmp_path, wanted("small"))
    large = mapped(tmp_path, wanted("large", 100), limit=FILE)
    assert arrays(tmp_path) == {"large"}
    mapped(tmp_path, wanted("small"), limit=FILE)
    assert arrays(tmp_path) == {"small"}
    assert is_right("large", large), "removed, but still mapped"


def test_what_somebody_is_just_writing_is_not_removed(tmp_path: Path) -> None:
    def meanwhile() -> Iterator[NDArray[np.uint8]]:
        yield caching.row("slow", 0)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(mapped, tmp_path, wanted("quick"), 1).result(60)
        yield from (caching.row("slow", index) for index in range(1, 4))

    assert is_right("slow", mapped(tmp_path, Wanted("slow", (4, 100), np.dtype(np.uint8), meanwhile)))
    assert arrays(tmp_path) == {"quick", "slow"}


def test_what_killed_makers_left_counts_and_is_removed_like_the_rest(tmp_path: Path) -> None:
    mapped(tmp_path, wanted("a"))
    left = tmp_path / "gone.npy.x1.tmp"
    left.write_bytes(bytes(1000))
    os.utime(left, (0, 0))
    mapped(tmp_path, wanted("b"), limit=2 * FILE)
    assert arrays(tmp_path) == {"a", "b"}
    assert litter(tmp_path) == []


def test_a_removed_array_takes_its_lock_along(tmp_path: Path) -> None:
    for name in "abcdef":
        mapped(tmp_path, wanted(name), limit=FILE)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["f.lock", "f.npy"]


def test_an_array_cannot_be_changed_by_who_maps_it(tmp_path: Path) -> None:
    array = mapped(tmp_path, wanted("a"))
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 0


def test_a_file_of_another_shape_or_type_is_made_again(tmp_path: Path) -> None:
    mapped(tmp_path, Wanted("a", (4, 100), np.dtype(np.bool_), lambda: iter([np.zeros(100, np.bool_)] * 4)))
    assert is_right("a", mapped(tmp_path, wanted("a")))
    assert is_right("a", mapped(tmp_path, wanted("a", 5)))


def test_what_goes_wrong_while_making_passes_through_and_leaves_nothing(tmp_path: Path) -> None:
    def broken() -> Iterator[NDArray[np.uint8]]:
        yield caching.row("a", 0)
        raise DataError("picture 1 is no picture")

    with pytest.raises(DataError, match="picture 1 is no picture"):
        mapped(tmp_path, Wanted("a", (4, 100), np.dtype(np.uint8), broken))
    assert (arrays(tmp_path), litter(tmp_path)) == (set(), [])


def test_more_than_the_disk_holds_is_refused_before_anything_is_made_or_removed(tmp_path: Path) -> None:
    mapped(tmp_path, wanted("a"))
    huge = Wanted("huge", (1 << 30, 1 << 30), np.dtype(np.uint8), lambda: pytest.fail("was made"))
    with pytest.raises(NoRoom, match=f"no room in {tmp_path} for .* GB of decoded pictures"):
        mapped(tmp_path, huge, limit=1 << 62)
    assert arrays(tmp_path) == {"a"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "adctl-test", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("a small disk cannot be mounted here: not root, or not allowed to")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_a_disk_that_fills_up_meanwhile_is_named_and_half_an_array_removed(small_disk: Path) -> None:
    folder = small_disk / "pictures"

    def crowded() -> Iterator[NDArray[np.uint8]]:
        yield caching.row("a", 0)
        with suppress(OSError), (small_disk / "other").open("wb") as other:
            while True:
                other.write(bytes(4096))
        yield from (caching.row("a", index) for index in range(1, 5000))

    with pytest.raises(NoRoom, match=f"no room left in {folder} for decoded pictures; free some space"):
        mapped(folder, Wanted("a", (5000, 100), np.dtype(np.uint8), crowded))
    assert (arrays(folder), litter(folder)) == (set(), [])
    (small_disk / "other").unlink()
    assert is_right("a", mapped(folder, wanted("a", 5000)))


def test_on_a_disk_nearly_full_old_arrays_make_room(small_disk: Path) -> None:
    for name in "ab":
        mapped(small_disk, wanted(name, 4000))
    last_used(small_disk, "a", "b")
    assert is_right("c", mapped(small_disk, wanted("c", 4000)))
    assert arrays(small_disk) == {"b", "c"}


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "file" / "pictures"
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=f"cannot keep decoded pictures in {folder}: "):
        mapped(folder, wanted("a"))


def test_the_bound_comes_from_the_environment_unless_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert limit_from_environment({}) == int(cache.USUAL_GB * 1e9)
    assert limit_from_environment({cache.VARIABLE: "0.5"}) == 500_000_000
    monkeypatch.setenv(cache.VARIABLE, str(FILE / 1e9))
    for name in "ab":
        mapped(tmp_path, wanted(name))
    assert arrays(tmp_path) == {"b"}


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf"])
def test_a_bound_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(
        ConfigError, match=f"ADCTL_CACHE_GB must be a number of gigabytes above 0, not '{text}'"
    ):
        limit_from_environment({cache.VARIABLE: text})
