"""What every attempt does first: find where to go on, choose a device and its threads, say so."""

from dataclasses import dataclass
from pathlib import Path

import torch

from ad_detectors import heap
from ad_detectors.device import Device, choose
from ad_platform.records import PASSED_OVER, RESUMED_FROM
from ad_platform.specs import Json
from ad_platform.storage.checkpoints import Resumable
from ad_workers.desk import Desk
from ad_workers.gpu import within_slot
from ad_workers.messages import Note, Report


@dataclass(frozen=True)
class Start:
    """Where an attempt begins and what it computes on."""

    device: Device
    threads: int
    resumed: Resumable | None
    step: int  # of the restored checkpoint, 0 without one
    state_folder: Path | None  # where its files were fetched to

    @property
    def at(self) -> tuple[int, int]:
        """Return the step the job has come to, and of how many."""
        return self.step, number(self.resumed, "of")


def start(desk: Desk) -> Start:
    """Fetch the newest whole checkpoint, settle device and threads, and tell the supervisor."""
    looked = desk.resume()
    resumed = Resumable(manifest=looked.manifest) if looked.manifest else None
    device = choose(within_slot(desk.spec.device, desk.assignment.cuda))
    # As many threads as before: two against one give other bits.
    threads = number(resumed, "threads") or desk.assignment.threads
    torch.set_num_threads(threads)
    heap.keep_freed()
    facts: dict[str, Json] = {
        "device": str(device.device),
        "device_reason": device.reason,
        "precision": device.precision,
        "threads": threads,
        "torch": torch.__version__,
    }
    step, folder = number(resumed, "step"), None
    if resumed is not None:
        folder = desk.scratch / "resume" / resumed.prefix.rsplit("/", 1)[1]
        facts |= {"resumed_step": step, RESUMED_FROM: resumed.prefix}
    if looked.broken:
        facts[PASSED_OVER] = [*looked.broken]
    for line in looked.broken:
        print(f"passed over a checkpoint: {line}", flush=True)  # noqa: T201 - the attempt's log
    desk.say(Note(facts=facts))
    desk.say(Report(step=step, of=number(resumed, "of"), message="reading images"))
    print(" ".join(f"{name}={value}" for name, value in facts.items() if name != PASSED_OVER), flush=True)  # noqa: T201
    return Start(device, threads, resumed, step, folder)


def number(resumed: Resumable | None, name: str) -> int:
    """Return a whole number that the checkpoint's manifest carries, 0 if there is none."""
    return int(str(resumed.manifest.meta.get(name, 0))) if resumed else 0
