"""What this machine can compute on: its cards, its torch, and why the two may not fit together."""

import importlib.util
import json
import os
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_platform.devices import Card, Devices
from ad_workers.gpu import Found, Gpu, discover

PATIENCE = 60.0  # seconds for a trial; loading torch takes a few, waking a card a few more

Trial = Callable[[Sequence[str]], Mapping[str, str]]  # UUIDs -> why each that does not compute does not


@dataclass(frozen=True)
class Torch:
    """An installed torch."""

    version: str
    cuda: str = ""  # the CUDA it was built for; empty for none


@dataclass(frozen=True)
class Machine:
    """What a worker has at hand."""

    devices: Devices  # as it is reported
    gpus: tuple[Gpu, ...]  # those that can be used


def try_out(uuids: Sequence[str], patience: float = PATIENCE) -> dict[str, str]:
    """Return for each card that does not compute why, by UUID; none of them when all do."""
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": ",".join(uuids)}
    command = [sys.executable, "-W", "ignore", "-m", "ad_workers.card_trial"]
    try:
        tried = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False, timeout=patience
        )
        problems = json.loads(tried.stdout.splitlines()[-1]) if tried.returncode == 0 else None
    except subprocess.TimeoutExpired:
        return dict.fromkeys(uuids, f"it gave no result within {patience:.0f} s")
    if problems is None:
        words = tried.stderr.strip().splitlines() or [f"the trial ended with {tried.returncode}"]
        return dict.fromkeys(uuids, words[-1])
    return {uuid: problem for uuid, problem in zip(uuids, problems, strict=True) if problem}


def look(found: Found | None = None, torch: Torch | None = None, trial: Trial | None = try_out) -> Machine:
    """Return what this machine can compute on, without torch or CUDA in this process.

    Cards that may be usable are tried out in a process of its own, which takes seconds; `trial` None leaves
    that out.
    """
    found = discover() if found is None else found
    torch = installed_torch() if torch is None else torch
    static = mismatch(torch, found)
    uuids = [gpu.uuid for gpu in found.gpus]
    tried = trial(uuids) if trial is not None and uuids and not static else {}
    problems = {uuid: static or _trial_words(tried.get(uuid, ""), torch) for uuid in uuids}
    cards = [
        Card(
            name=gpu.name,
            uuid=gpu.uuid,
            memory_mb=gpu.memory_mb,
            capability=gpu.capability,
            problem=problems[gpu.uuid],
        )
        for gpu in found.gpus
    ]
    if found.silent:
        cards.append(Card(name="NVIDIA card", problem=static))
    devices = Devices(
        cards=tuple(cards),
        metal=_has_metal(torch),
        torch=torch.version,
        torch_cuda=torch.cuda,
        driver=found.driver,
        driver_cuda=found.driver_cuda,
    )
    return Machine(devices, tuple(gpu for gpu in found.gpus if not problems[gpu.uuid]))


def installed_torch() -> Torch:
    """Read which torch is installed from its files: importing it takes seconds."""
    spec = importlib.util.find_spec("torch")
    if spec is None or spec.origin is None:
        return Torch("")
    try:
        return parse_torch((Path(spec.origin).parent / "version.py").read_text())
    except OSError:
        return Torch("of an unknown version", "unknown")


def parse_torch(text: str) -> Torch:
    """Read torch's own version file."""
    values = dict(re.findall(r"^(\w+)(?:\s*:[^=]+)?\s*=\s*'([^']*)'", text, re.MULTILINE))
    return Torch(values.get("__version__", "of an unknown version"), values.get("cuda", ""))


def mismatch(torch: Torch, found: Found) -> str:
    """Say why no card of this machine can be used by this torch, and what would help; empty if they fit."""
    if not found.gpus and not found.silent:
        return ""
    if found.silent:
        return (
            f"no NVIDIA driver answers ({found.silent}); install or reload it, or give a container its card "
            "(docker run --gpus all)"
        )
    if not torch.version:
        return "torch is not installed: pip install 'adctl[worker]'"
    if not torch.cuda:
        return f"this torch ({torch.version}) was built without CUDA; install one that has it (pytorch.org)"
    if _major(found.driver_cuda) < _major(torch.cuda):
        return (
            f"its driver {found.driver} knows CUDA {found.driver_cuda}, torch {torch.version} needs "
            f"{torch.cuda}; update the driver, or install a torch for CUDA {_major(found.driver_cuda)}"
        )
    return ""


def _major(version: str) -> int:
    # Within a major version any driver runs what was built for any minor one.
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0


def _trial_words(problem: str, torch: Torch) -> str:
    if not problem:
        return ""
    return f"torch {torch.version} does not compute on it: {problem}; see what fits it on pytorch.org"


def _has_metal(torch: Torch) -> bool:
    return bool(torch.version) and sys.platform == "darwin" and platform.machine() == "arm64"
