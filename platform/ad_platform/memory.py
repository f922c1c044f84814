"""How much memory a job asks for: as somebody says it, or as jobs like it were seen to take it."""

import re
from contextlib import suppress
from dataclasses import replace

from ad_platform import devices
from ad_platform.errors import InvalidRequest, InvalidValue
from ad_platform.offers import UNTOLD, ever
from ad_platform.specs import Submission
from ad_platform.store.contract import Store

MARGIN = 1.2  # of what was seen: other pictures, another card, fragments
CONTEXT = 512  # MB that CUDA itself takes of a card, which torch does not count
MOST = 2**31 - 1
UNITS = {f"{letter}{rest}": 1024**power for power, letter in enumerate("MGT") for rest in ("", "B", "IB")}


def megabytes(text: str) -> int:
    """Read an amount such as 800MB or 20GB as MB (of 2^20 bytes, as cards are measured); 0 asks for none.

    Raises InvalidValue for what is none.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = None if found is None else UNITS.get(found[2].upper())
    if found is None or (unit is None and float(found[1]) != 0):
        raise InvalidValue(f"'{text}' is not an amount of memory; it is written as 800MB or 20GB")
    amount = round(float(found[1]) * (unit or 1))
    if amount > MOST:
        raise InvalidValue(f"no machine has {text.strip()} of memory; write it as 800MB or 20GB")
    return amount


def words(mb: int) -> str:
    """Return an amount as `megabytes` reads it: 20GB where that is exact, or 800MB."""
    return f"{mb // 1024}GB" if mb and mb % 1024 == 0 else f"{mb}MB"


def with_usual(store: Store, submission: Submission) -> Submission:
    """Return a submission that asks for as much memory of a card as jobs like it took, where that is known.

    It is left as it is if it asks for an amount, or may come to compute on something else than a card. Never
    more is asked for than the biggest card of those there are has: what was learned on a bigger one would
    keep it from all of them.
    """
    if submission.memory_mb or submission.spec.cpu_only:
        return submission
    able = [
        worker
        for worker in store.workers.roster()
        if submission.queue in worker.queues and submission.spec.detector in worker.detectors
    ]
    kind: str = "unknown"
    with suppress(InvalidRequest):  # it is refused elsewhere, in better words
        kind = devices.choice(submission.spec.device, able).kind
    if kind != "cuda" and not submission.gpus:
        return submission
    peak = store.peaks.of(submission.spec, submission.batch_divisor)
    if peak is None:
        return submission
    rooms = [room.mb for worker in able if worker.state == "online" for room in ever(worker).cards]
    amount = min(round(peak.peak_mb * MARGIN) + CONTEXT, max(rooms, default=UNTOLD))
    runs = "1 past run" if peak.runs == 1 else f"{peak.runs} past runs"
    told = f"learned from {runs} like it, which took up to {peak.peak_mb} MB of a card"
    return replace(submission, memory_mb=amount, memory_from=told)
