"""How much memory a step of DDAD's training or an evaluation takes at its peak, ours and as published."""

import gc
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from parts import ddad_sides as sides
from parts import plain_ddad as plain

SIDES = "ours", "plain"
SCRIPT = Path(__file__).parents[1] / "ddad.py"


def in_process(scene: sides.Scene, threads: int, job: str, side: str) -> float:
    """Return MiB beyond what stands before the job begins, in a process of its own, on a CPU."""
    words = ["--scene", str(scene.folder), "--size", str(scene.size), "--threads", str(threads)]
    wide = ["--whole"] if scene.whole else []
    command = [sys.executable, str(SCRIPT), "--alone", f"{job}:{side}", *words, *wide]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()[-1])


def resident(scene: sides.Scene, job: str, side: str) -> float:
    """Return MiB beyond what this process has when the job begins."""
    with _job(scene, job, side) as act:
        before = _pages("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far (proc(5))
        act()
        return (_pages("VmHWM") - before) / 1024


def on_card(scene: sides.Scene, job: str, side: str) -> float:
    """Return MiB of tensors on the card, weights and all."""
    with _job(scene, job, side) as act:
        torch.cuda.reset_peak_memory_stats()
        act()
        return torch.cuda.max_memory_allocated() / 2**20


@contextmanager
def _job(scene: sides.Scene, job: str, side: str) -> Iterator[Callable[[], Any]]:
    """Give what is to be done, with all it needs in memory."""
    with tempfile.TemporaryDirectory(prefix="ddad-") as cache:
        act: Callable[[], Any]
        if job == "train":
            training = sides.OurTraining(scene) if side == "ours" else sides.PlainTraining(scene)
            given = sides.training_input(scene)
            act = lambda: [training.step(*given) for _ in range(2)]  # noqa: E731
        elif side == "ours":
            detector = sides.our_detector(scene, compat=False)
            act = lambda: sides.evaluate_ours(scene, detector, Path(cache))  # noqa: E731
        else:
            net = sides.plain_net(scene).eval()
            backbone = plain.Backbone(sides.torchvision_net().to(scene.device))
            act = lambda: sides.evaluate_plain(scene, net, backbone)  # noqa: E731
        gc.collect()
        yield act


def _pages(name: str) -> int:  # KiB
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name))
