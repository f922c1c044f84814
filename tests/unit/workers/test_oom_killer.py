"""The kernel's count of processes killed for want of memory, wherever it keeps it."""

from pathlib import Path

import pytest

from ad_workers.oom_killer import kills

VERSION_2 = "0::/system.slice/adctl.service\n"
VERSION_1 = "9:name=systemd:/\n4:memory:/jobs/7\n0::/\n"


def write(root: Path, file: str, text: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(text)


@pytest.mark.parametrize(
    ("groups", "file"),
    [
        (VERSION_2, "sys/fs/cgroup/system.slice/adctl.service/memory.events"),
        (VERSION_2, "sys/fs/cgroup/memory.events"),  # a container sees its own group as the root
        (VERSION_1, "sys/fs/cgroup/memory/jobs/7/memory.oom_control"),
        (VERSION_1, "sys/fs/cgroup/memory/memory.oom_control"),
        (VERSION_2, "proc/vmstat"),
    ],
)
def test_a_kill_makes_the_number_grow(tmp_path: Path, groups: str, file: str) -> None:
    write(tmp_path, "proc/self/cgroup", groups)
    write(tmp_path, file, "low 0\noom 1\noom_kill 2\n")
    before = kills(tmp_path)
    write(tmp_path, file, "low 0\noom 2\noom_kill 3\n")
    assert kills(tmp_path) == before + 1


def test_a_machine_that_does_not_count_has_killed_none(tmp_path: Path) -> None:
    assert kills(tmp_path) == 0
    write(tmp_path, "proc/self/cgroup", VERSION_2)
    write(tmp_path, "proc/vmstat", "nr_free_pages 7\n")
    assert kills(tmp_path) == 0


def test_this_machine_can_be_asked() -> None:
    assert kills() >= 0
