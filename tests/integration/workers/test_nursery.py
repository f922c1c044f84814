"""Children are forked in milliseconds, and nothing of them outlives zygote or worker."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from PIL import Image

from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import FailureClass, JobKind
from ad_workers.boottime import boottime
from ad_workers.messages import Assignment, Failed, Note, encode
from ad_workers.nursery import Child, Nursery
from ad_workers.zygote import preload

PATIENCE = 30.0


def assignment(folder: Path, *, hangs: bool) -> Assignment:
    """Give work that fails at once for want of images, or reads for ever from a pipe that is never filled."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    if hangs:
        Image.new("RGB", (32, 32)).save(data / "a.png")
        os.mkfifo(folder / "fingerprints.json")
    spec = JobSpec(
        kind=JobKind.TRAIN,
        detector="ddad",
        dataset=DatasetRef(dataset="d", category="c", fingerprint="f", path=str(data)),
        config={"image_size": 32},
        device="cpu",
    )
    return Assignment(
        job_id="j",
        attempt=1,
        kind="train",
        spec=spec.to_json(),
        data=str(data),
        storage_url=str(folder / "storage"),
        scratch=str(folder),
        cache=str(folder / "cache"),
        fingerprints=str(folder / "fingerprints.json"),
        weights=None,
        lineage=("j",),
        source=None,
        threads=1,
        devices=(),
        deadline=boottime() + 600,
    )


def gone(pid: int) -> bool:
    """Say whether a process is dead; a zombie nobody reaps counts as dead."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def wait_until(condition, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, what
        threading.Event().wait(0.05)


def at_work(child: Child) -> None:
    """Wait until the child has said what it computes on: the next thing it does is read images."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if any(isinstance(message, Note) for message in child.link.receive(timeout=1.0)):
            return
    raise AssertionError("the child never said a word")


@pytest.fixture(scope="module")
def nursery():
    nursery = Nursery()
    assert nursery.ready.wait(120)
    yield nursery
    nursery.close()


def test_a_child_tells_why_it_failed_and_ends_with_its_code(nursery, tmp_path):
    child = nursery.spawn(assignment(tmp_path, hangs=False), tmp_path / "log")
    assert child.ended.wait(PATIENCE)
    failed = [message for message in child.link.receive() if isinstance(message, Failed)]
    assert child.status == 10
    assert failed[0].failure is FailureClass.DATA
    assert str(tmp_path / "data") in failed[0].error
    assert "Traceback" in (tmp_path / "log").read_text()
    child.link.close()


def test_a_killed_child_is_reported_with_its_signal(nursery, tmp_path):
    child = nursery.spawn(assignment(tmp_path, hangs=True), tmp_path / "log")
    at_work(child)
    child.kill()
    assert child.ended.wait(PATIENCE)
    assert child.status == -signal.SIGKILL
    child.link.close()


def test_children_lead_process_groups_of_their_own(nursery, tmp_path):
    child = nursery.spawn(assignment(tmp_path, hangs=True), tmp_path / "log")
    at_work(child)
    assert os.getpgid(child.pid) == child.pid != os.getpgid(nursery.pid)
    child.kill()
    assert child.ended.wait(PATIENCE)
    child.link.close()


def test_a_dead_zygote_takes_its_children_along_and_is_replaced(nursery, tmp_path):
    child = nursery.spawn(assignment(tmp_path, hangs=True), tmp_path / "log")
    at_work(child)
    os.kill(nursery.pid, signal.SIGKILL)
    assert child.ended.wait(PATIENCE)
    assert child.status is None
    wait_until(lambda: gone(child.pid), "the child outlived its zygote")
    child.link.close()

    assert nursery.ready.wait(120)
    (tmp_path / "next").mkdir()
    heir = nursery.spawn(assignment(tmp_path / "next", hangs=False), tmp_path / "log")
    assert heir.ended.wait(PATIENCE)
    assert heir.status == 10
    heir.link.close()


def test_a_child_that_waits_for_a_loading_zygote_can_be_killed_at_once(tmp_path):
    nursery = Nursery()
    os.kill(nursery.pid, signal.SIGSTOP)  # so it loads for as long as this takes
    child = nursery.spawn(assignment(tmp_path, hangs=True), tmp_path / "log")
    child.kill()
    assert child.ended.is_set()
    assert child.status == -signal.SIGKILL
    child.link.close()
    os.kill(nursery.pid, signal.SIGCONT)
    assert nursery.ready.wait(120)

    (tmp_path / "next").mkdir()
    heir = nursery.spawn(assignment(tmp_path / "next", hangs=False), tmp_path / "log")
    assert heir.ended.wait(PATIENCE)
    assert heir.status == 10
    heir.link.close()
    wait_until(lambda: not psutil.Process(nursery.pid).children(), "the killed one lives")
    nursery.close()


HOLDER = """
import json, sys
from dataclasses import replace
from pathlib import Path
from ad_workers.messages import decode
from ad_workers.nursery import Nursery
nursery = Nursery()
child = nursery.spawn(decode(sys.argv[1].encode()), Path(sys.argv[2]))
while child.pid is None or not child.link.receive(timeout=1.0):
    pass
print(json.dumps([nursery.pid, child.pid]), flush=True)
child.ended.wait()
"""


def test_a_killed_worker_leaves_neither_zygote_nor_child(tmp_path):
    order = encode(assignment(tmp_path, hangs=True)).decode()
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, order, str(tmp_path / "log")], stdout=subprocess.PIPE
    )
    with holder:
        pids = json.loads(holder.stdout.readline())
        assert not any(gone(pid) for pid in pids)
        holder.kill()
        holder.wait()
        wait_until(lambda: all(gone(pid) for pid in pids), f"still alive after the worker: {pids}")


def test_what_a_child_needs_for_a_backbone_is_loaded_once_and_not_before(tmp_path: Path) -> None:
    nursery = Nursery()
    try:
        memory = []
        for number, config in enumerate(
            [{"backbone": "none"}, {}, {"backbone": "resnet18"}, {"backbone": "x"}]
        ):
            folder = tmp_path / str(number)
            folder.mkdir()
            given = assignment(folder, hangs=False)
            child = nursery.spawn(replace(given, spec={**given.spec, "config": config}), folder / "log")
            assert child.ended.wait(PATIENCE)
            child.link.close()
            memory.append(
                any("torchvision" in each.path for each in psutil.Process(nursery.pid).memory_maps())
            )
    finally:
        nursery.close()
    assert memory == [False, False, True, True]


def test_a_library_that_breaks_when_it_is_loaded_is_left_to_the_child(tmp_path, monkeypatch, capsys) -> None:
    (tmp_path / "a_broken_library.py").write_text("raise RuntimeError('operator nms does not exist')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("gc.freeze", lambda: None)
    preload(["a_broken_library"])
    assert "a_broken_library is not there for children: operator nms" in capsys.readouterr().err
