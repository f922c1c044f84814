"""The gates a model passes before it carries an alias; a new one is a function and a line in the table."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from ad_platform.errors import GateRefused
from ad_platform.records import Job
from ad_platform.registry import costs, quality, soundness
from ad_platform.registry.case import Case, Verdict

Gate: TypeAlias = Callable[[Case], Verdict]

# In the order in which they are shown; all are asked, so that a person sees everything at once.
GATES: tuple[Gate, ...] = (
    soundness.succeeded,
    soundness.whole,
    soundness.evaluated,
    soundness.selection,
    soundness.leak,
    quality.no_worse,
    quality.defects,
    costs.false_alarms,
    costs.latency,
    costs.memory,
)


def judge(case: Case) -> list[Verdict]:
    """Ask every gate."""
    return [gate(case) for gate in GATES]


def refused(verdicts: Sequence[Verdict], force: bool) -> list[Verdict]:
    """Return the gates that say no and are not, or cannot be, overruled."""
    return [one for one in verdicts if not one.passed and not (force and one.forcible)]


def refuse(verdicts: Sequence[Verdict], job: Job, force: bool) -> None:
    """Raise GateRefused if a gate says no that is not, or cannot be, overruled."""
    against = refused(verdicts, force)
    # What cannot be forced goes before what can.
    for verdict in sorted(against, key=lambda one: one.forcible):
        way = "promote it anyway with --force --reason TEXT" if verdict.forcible else "this cannot be forced"
        rest = [one.gate for one in against if one is not verdict]
        more = f"; so do {', '.join(rest)} (adctl promote {job.id} --dry-run)" if rest else ""
        raise GateRefused(f"gate '{verdict.gate}' refuses job {job.id}: {verdict.detail}{more}; {way}")
