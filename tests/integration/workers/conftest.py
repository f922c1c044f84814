"""One platform with one worker of two slots, shared by all tests that leave it alive."""

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

import ground
import services


@dataclass
class Shared:
    """The ground and the worker on it."""

    ground: ground.Ground
    worker: "subprocess.Popen[bytes]"
    small_disk: bool  # whether the storage is a small disk of its own


@pytest.fixture(scope="session")
def folder() -> Iterator[Path]:
    if find_spec("torch") is None:
        services.unavailable("torch is not installed")
    folder = Path(tempfile.mkdtemp(prefix="adctl-workers-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def shared(folder: Path) -> Iterator[Shared]:
    disk = folder / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=32m", "adctl-test", str(disk)]
    small = subprocess.run(mount, capture_output=True, check=False).returncode == 0
    try:
        with ground.ground(folder / "shared", ADCTL_STORAGE_URL=str(disk)) as shared:
            shared.pictures()
            yield Shared(shared, shared.platform.start_worker(slots=2), small)
    finally:
        if small:
            subprocess.run(["umount", "--lazy", str(disk)], check=True)


@pytest.fixture
def land(shared: Shared) -> Iterator[ground.Ground]:
    """Give the shared ground with a live broker and nothing left over from the test before."""
    shared.ground.broker.start()
    yield shared.ground
    shared.ground.broker.start()
    shared.ground.idle()


@pytest.fixture
def worker(shared: Shared) -> "subprocess.Popen[bytes]":
    assert shared.worker.poll() is None, "a test before this one ended the shared worker"
    return shared.worker
