"""Tells a detector in how many parts to compute its batches, and the platform what comes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ad_workers.messages import Note

if TYPE_CHECKING:
    from ad_detectors.api import Detector
    from ad_workers.desk import Desk


def divide(desk: Desk, detector: Detector, *, can: bool) -> None:
    """Have a detector compute in as many parts as the attempt was told to, where it `can`.

    The attempt's facts say in how many parts it computes (`batch_divisor`), and that it cannot be told to
    (`divisible`), so that nobody tries just that after memory did not suffice.
    """
    wanted = desk.assignment.batch_divisor
    detector.batch_divisor = wanted
    if not can:
        desk.say(Note(facts={"divisible": False}))
    if wanted == 1:
        return
    if can:
        desk.say(Note(facts={"batch_divisor": wanted}))
        line = f"memory did not suffice before: batches are computed in {wanted} parts"
    else:
        line = f"detector '{desk.spec.detector}' cannot compute its batches in parts: they stay whole"
    print(line, flush=True)  # noqa: T201 - the attempt's log
