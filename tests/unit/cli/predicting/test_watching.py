"""`adctl predict --watch`: each finished file once, with the results of any other prediction."""

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

import killed_watch
from placed_model import Placed

ENOUGH = 60.0  # seconds for anything to come


def lines() -> list[dict[str, object]]:
    file = Path("out/scores.jsonl")
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def awaited(condition: Callable[[], object]) -> None:
    end, pause = time.monotonic() + ENOUGH, threading.Event()
    while not condition():
        assert time.monotonic() < end, f"it never came: {lines()}"
        pause.wait(0.02)


@pytest.fixture
def watch(adctl, placed: Placed):
    """Watch the folder `in` while something else is done, then end as a service manager does."""
    Path("in").mkdir()

    def call(meanwhile: Callable[[], None], *more: str, ended_by: int = signal.SIGTERM):
        def act() -> None:
            try:
                awaited(Path("out/.watch.lock").exists)
                meanwhile()
            finally:
                os.kill(os.getpid(), ended_by)

        with ThreadPoolExecutor(1) as pool:
            acting = pool.submit(act)
            called = adctl("predict", "screw", "--watch", "in", "--out", "out", "--settle", "0.1", *more)
            acting.result()
        return called

    return call


def put(source: Path, name: str) -> None:
    shutil.copy(source, f"in/.{name}")
    Path(f"in/.{name}").rename(f"in/{name}")


def test_files_are_scored_as_they_come_and_once_across_restarts(watch, adctl, placed: Placed) -> None:
    def first() -> None:
        put(placed.cut / "0.png", "a.png")
        put(placed.good / "1.png", "b.png")
        awaited(lambda: len(lines()) == 2)

    called = watch(first)
    assert called.code == 0
    assert "watching in: results go to out/scores.jsonl" in called.err
    assert "stopped: 1 anomalous, 1 normal" in called.err
    assert sorted(line.split()[1] for line in called.out.splitlines()[1:]) == ["anomalous", "normal"]

    def second() -> None:
        put(placed.cut / "1.png", "c.png")
        awaited(lambda: len(lines()) == 3)

    again = watch(second, ended_by=signal.SIGINT)
    assert again.code == 130
    assert "2 scored before" in again.err

    plain = adctl("predict", "screw", "in", "--json").json["images"]
    found = {Path(str(line["path"])).name: (line["score"], line["decision"]) for line in lines()}
    assert found == {Path(one["path"]).name: (one["score"], one["decision"]) for one in plain}
    assert [Path(str(line["heat_map"])).is_file() for line in lines()] == [True] * 3
    rows = Path("out/scores.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [line["path"] for line in lines()]


def test_a_file_replaced_by_other_content_is_scored_anew_and_one_that_was_touched_is_not(
    watch, placed
) -> None:
    def act() -> None:
        put(placed.cut / "0.png", "a.png")
        awaited(lambda: len(lines()) == 1)
        os.utime("in/a.png")
        put(placed.cut / "0.png", "a.png")  # another file of the same content
        put(placed.good / "0.png", "b.png")
        awaited(lambda: len(lines()) == 2)
        put(placed.good / "1.png", "a.png")
        awaited(lambda: len(lines()) == 3)

    called = watch(act, "--format", "jsonl")

    assert [(Path(str(one["path"])).name, one["decision"]) for one in lines()] == [
        ("a.png", "anomalous"),
        ("b.png", "normal"),
        ("a.png", "normal"),
    ]
    assert [json.loads(line)["path"] for line in called.out.splitlines()] == [one["path"] for one in lines()]
    assert not Path("out/scores.csv").exists()


def test_a_half_copied_file_is_not_scored_and_a_broken_one_is_named_after_some_tries(watch, placed) -> None:
    whole = (placed.cut / "0.png").read_bytes()

    def act() -> None:
        with Path("in/slow.png").open("wb", buffering=0) as file:
            for start in range(0, len(whole), max(1, len(whole) // 12)):
                file.write(whole[start : start + max(1, len(whole) // 12)])
                threading.Event().wait(0.04)
        Path("in/text.png").write_text("no picture")
        Path("in/gone.png").write_bytes(whole[:100])
        awaited(lambda: lines())
        Path("in/gone.png").unlink()
        awaited(lambda: len(lines()) == 2)
        Path("in/text.png").write_bytes(whole)
        awaited(lambda: len(lines()) == 3)

    called = watch(act)

    assert [(Path(str(one["path"])).name, one["decision"]) for one in lines()] == [
        ("slow.png", "anomalous"),
        ("text.png", "unreadable"),
        ("text.png", "anomalous"),
    ]
    assert "no JPEG, PNG" in str(lines()[1]["error"])
    assert [line for line in called.err.splitlines() if line.startswith("error: ")] == [
        f"error: {lines()[1]['error']}"
    ]


def test_a_folder_that_goes_away_is_waited_for(watch, placed: Placed) -> None:
    def act() -> None:
        Path("in").rename("away")
        threading.Event().wait(0.5)
        Path("away").rename("in")
        put(placed.cut / "0.png", "a.png")
        awaited(lambda: len(lines()) == 1)

    called = watch(act)

    assert called.code == 0
    assert called.err.count("warning: cannot read in: no such file or directory; it is looked at again") == 1


def test_another_watch_of_the_same_results_is_refused(watch, adctl, placed: Placed) -> None:
    from filelock import FileLock

    Path("out").mkdir()
    with FileLock("out/.watch.lock"):
        called = adctl("predict", "screw", "--watch", "in", "--out", "out")

    assert called.code == 3
    assert "another watch fills out; end it first" in called.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--watch", "in"), "--watch needs --out DIR"),
        (("--watch", "in", "--out", "in"), "--out is the folder that is watched"),
        (("--watch", "in", "--out", "out", "in"), "takes the place of images"),
        (("--watch", "in", "--out", "out", "--files-from", "x"), "takes the place of images"),
        (("--watch", "nowhere", "--out", "out"), "nowhere does not exist; --watch takes a folder"),
        (("--watch", "file", "--out", "out"), "file is a file; --watch takes a folder"),
        (("--watch", "in", "--out", "file"), "--out file is a file; name a folder"),
        (("--watch", "in", "--out", "out", "--settle", "0"), "from 0.05 to 3600, not 0"),
    ],
)
def test_a_watch_that_cannot_be_is_one_line(adctl, placed: Placed, arguments, said) -> None:
    Path("in").mkdir()
    Path("file").touch()

    called = adctl("predict", "screw", *arguments)

    assert (called.code, called.out) == (2, "")
    assert called.err.count("\n") == 1
    assert said in called.err


def test_results_of_another_kind_are_not_gone_on_behind(adctl, placed: Placed) -> None:
    Path("in").mkdir()
    adctl("predict", "screw", str(placed.cut), "--format", "jsonl", "--out", "out")
    before = Path("out/scores.jsonl").read_bytes()

    called = adctl("predict", "screw", "--watch", "in", "--out", "out")

    assert called.code == 2
    assert "line 1 of out/scores.jsonl was not written by a watch" in called.err
    assert Path("out/scores.jsonl").read_bytes() == before


def test_what_another_model_scored_is_said_and_not_scored_again(watch, adctl, placed: Placed) -> None:
    def act() -> None:
        put(placed.cut / "0.png", "a.png")
        awaited(lambda: len(lines()) == 1)

    watch(act)
    file = Path("out/scores.jsonl")
    file.write_text(file.read_text().replace("revision 1", "revision 0"))

    def nothing() -> None:
        threading.Event().wait(0.5)

    called = watch(nothing)

    assert len(lines()) == 1
    assert "(revision 0); it is not scored again" in called.err
    assert "stopped: nothing came" in called.err


def test_large_pictures_are_masked_while_they_are_watched(watch, placed: Placed) -> None:
    def act() -> None:
        with Image.open(placed.cut / "0.png") as image:
            image.resize((700, 900)).save("in/.large.png")
        Path("in/.large.png").rename("in/large.png")
        awaited(lambda: len(lines()) == 1)

    watch(act, "--masks", "--maps")

    assert sorted(path.name for path in Path("out").iterdir() if path.name[0] != ".") == [
        *("large.png.map.npy", "large.png.mask.png", "large.png.png", "scores.csv", "scores.jsonl")
    ]
    with Image.open("out/large.png.mask.png") as mask:
        assert mask.size == (700, 900)


def test_watches_that_are_killed_lose_nothing_and_double_nothing(adctl, placed: Placed) -> None:
    good = sorted((placed.made.category / "train" / "good").iterdir())
    Path("in").mkdir()
    for number in range(96):
        with Image.open(good[number % len(good)]) as image:
            image.rotate(90 * (number // len(good))).save(f"in/{number}.png")
    environment = {**os.environ, "ADCTL_HOME": str(Path("home").resolve()), "PYTHONPATH": ":".join(sys.path)}

    done = subprocess.run(
        [sys.executable, killed_watch.__file__, str(placed.made.model), "in", "out", "7"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    asked = ("predict", str(placed.made.model), "in", "--threshold", "1.5", "--json")
    plain = {one["path"]: (one["score"], one["decision"]) for one in adctl(*asked).json["images"]}
    assert len(lines()) == len(plain) == 96
    assert {os.path.relpath(str(one["path"])): (one["score"], one["decision"]) for one in lines()} == plain
    rows = list(csv.DictReader(Path("out/scores.csv").read_text().splitlines()))
    assert [row["path"] for row in rows] == [one["path"] for one in lines()]
    assert all(Path(str(one["mask"])).is_file() and Path(str(one["heat_map"])).is_file() for one in lines())
