"""What becomes of freed memory, counted by how often the kernel is asked for a page."""

import platform
import subprocess
import sys

import pytest

from ad_detectors import heap

PAGES = """
import resource, torch
from ad_detectors import heap

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        torch.zeros(2**24).add_(1)  # 64 MiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

{first}
for _ in range(4):  # until there is a hole for each of them
    faults()
print(faults())
"""
NEW_EACH_TIME = 5 * 2**24 * 4 // 4096 // 2  # half of the pages, since huge ones may stand for many

glibc = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc can be told")


def _faults(first: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", PAGES.format(first=first)], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


@glibc
def test_memory_that_was_freed_is_used_again_without_the_kernel() -> None:
    assert _faults("") > NEW_EACH_TIME, "freed memory is kept anyway: is keep_freed of any use here?"
    assert _faults("assert heap.keep_freed()") < NEW_EACH_TIME / 100


def test_another_c_library_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert not heap.keep_freed()
