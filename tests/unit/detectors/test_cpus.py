"""A process uses no more CPUs than it may, whatever the machine has."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ad_detectors import cpus

MANY = 10**6  # more CPUs than any affinity mask names


@pytest.fixture
def unbound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(MANY), raising=False)


def tree(tmp_path: Path, own: str, **quotas: str) -> tuple[Path, Path]:
    (tmp_path / "own").write_text(f"12:pids:/somewhere\n0::{own}\n")
    root = tmp_path / "cgroup"
    root.mkdir()
    for name, quota in quotas.items():
        folder = root / name.replace("_", "/") if name != "root" else root
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cpu.max").write_text(quota)
    return tmp_path / "own", root


@pytest.mark.usefixtures("unbound")
@pytest.mark.parametrize(
    ("own", "quotas", "expected"),
    [
        ("/", {"root": "max 100000\n"}, MANY),
        ("/", {"root": "200000 100000\n"}, 2),
        ("/", {"root": "150000 100000\n"}, 2),
        ("/", {"root": "10000 100000\n"}, 1),
        ("/a/b", {"a": "300000 100000\n", "a_b": "max 100000\n"}, 3),
        ("/a/b", {"a": "300000 100000\n", "a_b": "400000 100000\n"}, 3),
        ("/of/the/host", {"root": "400000 100000\n"}, 4),
        ("/", {"root": "nonsense\n"}, MANY),
        ("/", {}, MANY),
    ],
)
def test_the_least_quota_of_the_cgroup_and_those_above_it_counts(
    tmp_path: Path, own: str, quotas: dict[str, str], expected: int
) -> None:
    assert cpus.usable(*tree(tmp_path, own, **quotas)) == expected


@pytest.mark.usefixtures("unbound")
def test_a_system_without_cgroups_of_the_second_version_has_no_quota(tmp_path: Path) -> None:
    (tmp_path / "own").write_text("3:cpu:/docker/1\n")
    assert cpus.usable(tmp_path / "own", tmp_path) == MANY
    assert cpus.usable(tmp_path / "missing", tmp_path) == MANY


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity mask")
def test_a_process_bound_to_one_cpu_uses_one() -> None:
    code = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))});"
        "from ad_detectors import cpus; print(cpus.usable())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "1"


def test_without_an_affinity_mask_the_machines_cpus_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 5)
    assert cpus.usable(*tree(tmp_path, "/")) == 5
