"""A few pictures of an evaluation scored beforehand by a witness, and compared once all are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ad_detectors import checkpoint as states
from ad_detectors.errors import Peeked
from ad_detectors.evaluation import PartialEvaluation, spotcheck
from ad_detectors.evaluation.parts import Part
from ad_detectors.evaluation.spotcheck import SpotCheck
from ad_workers import sealing
from ad_workers.desk import Desk
from ad_workers.gpu import within_slot
from ad_workers.messages import Report
from ad_workers.starting import Start
from ad_workers.witness import PICTURES, Answer, Question


@dataclass(frozen=True)
class Again:
    """Which pictures these are, and what the witness said of them."""

    parts: Sequence[Part]
    places: Sequence[int]
    answer: Answer

    def check(self, partial: PartialEvaluation) -> SpotCheck:
        """Compare with what the evaluation, whose pictures are all scored, says of them."""
        answer = self.answer
        if answer.failed:
            said = f"in a process that is handed nothing but pixels it fails: {answer.failed}"
            return SpotCheck(False, len(self.places), f"{said}; {spotcheck.RULE}")
        if answer.scores is None:
            return SpotCheck(None, 0, f"not made: {answer.gone}")
        return spotcheck.compared(self.parts, partial, self.places, answer.scores)


def beforehand(
    desk: Desk,
    beginning: Start,
    parts: Sequence[Part],
    together: int | None,
    model: Path,
    at: tuple[int, int],
) -> Again:
    """Have the witness score a few pictures with the model in this folder.

    `at` is where the job stands: its step, and the last one.
    Raises Peeked if its detector looked at what it must not, and Stop when told to stop.
    """
    if desk.witness is None:
        return Again(parts, (), Answer(gone="this process could not fork another"))
    places = spotcheck.chosen(parts, together, desk.assignment.job_id)
    folder = desk.scratch / "again"
    states.save({PICTURES: spotcheck.pixels_of(parts, places)}, folder / "asked", sync=False)
    if beginning.device.device.type == "cuda":
        torch.cuda.empty_cache()  # the witness needs room on the same card
    question = Question(
        model=str(model),
        pictures=str(folder / "asked"),
        answer=str(folder / "answer"),
        device=within_slot(desk.spec.device, desk.assignment.cuda),
        threads=beginning.threads,
        detector=desk.spec.detector,
        sealed=list(sealing.places(desk.assignment, desk.spec, desk.pictures).items()),
        free=sealing.free(desk.assignment),
        batch_divisor=desk.assignment.batch_divisor,
    )
    desk.say(Report(step=at[0], of=at[1], message="scoring a few images in another process"))
    answer = desk.witness.ask(question, desk.obey)
    desk.witness.close()
    if answer.peeked:
        raise Peeked(answer.peeked)
    return Again(parts, places, answer)
