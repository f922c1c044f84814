"""How the verdict of the gates looks: as a table that is wrapped, not cut, and as JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ad_cli import out
from ad_cli.tables import GAP, Column

if TYPE_CHECKING:
    from ad_platform.registry.case import Verdict
    from ad_platform.registry.promotion import Proposal
    from ad_platform.specs import Json

PASSED, REFUSED, OVERRULED = "passed", "no", "overruled"
COLOURS = {PASSED: "green", REFUSED: "red", OVERRULED: "yellow"}
COLUMNS = (
    Column(name="GATE"),
    Column(name="VERDICT", colour=lambda cell: COLOURS.get(cell, "")),
    Column(name="WHY"),
)
LEAST = 40  # columns of a reason, however narrow the terminal


def show(verdicts: Sequence[Verdict], force: bool = False, indent: str = "") -> None:
    """Print what each gate says and why."""
    gates = max((len(one.gate) for one in verdicts), default=0)
    words = max((len(word(one, force)) for one in verdicts), default=0)
    beside = len(indent) + gates + max(words, len("VERDICT")) + 2 * len(GAP)
    room = max(LEAST, out.width() - beside) if out.width() else 0
    rows: list[tuple[str, str, str]] = []
    for one in verdicts:
        lines = textwrap.wrap(one.detail, room, break_on_hyphens=False) if room else [one.detail]
        rows.append((f"{indent}{one.gate}", word(one, force), lines[0] if lines else ""))
        rows += [("", "", line) for line in lines[1:]]
    header = (Column(name=f"{indent}GATE"), *COLUMNS[1:])
    out.table(header, rows)


def word(verdict: Verdict, force: bool) -> str:
    """Return what a gate says in a word."""
    if verdict.passed:
        return PASSED
    return OVERRULED if force and verdict.forcible else REFUSED


def propose(proposal: Proposal) -> None:
    """Print what a promotion would come to."""
    champion = proposal.champion
    name = f"{champion.model}@{champion.alias}"
    if proposal.same:
        out.text(
            f"{name} is job {champion.job_id} already (revision {champion.revision}); by then the gates said"
        )
    else:
        out.text(f"{name} would be job {champion.job_id} (revision {champion.revision})")
    show(proposal.verdicts, proposal.force)
    if proposal.same or (proposal.passes and not champion.forced):
        out.note("verdict: passed" if not proposal.same else "nothing would change")
    elif proposal.passes:
        out.note("verdict: it would be forced past the gates that say no")
    else:
        out.note(f"verdict: refused by {', '.join(one.gate for one in proposal.refused)}; {_way(proposal)}")


def to_json(proposal: Proposal) -> dict[str, Json]:
    """Return what a promotion would come to as JSON."""
    champion = proposal.champion
    gates: list[Json] = [
        {**one.to_json(), "forcible": one.forcible, "verdict": word(one, proposal.force)}
        for one in proposal.verdicts
    ]
    evidence = champion.evidence
    return {
        "model": champion.model,
        "alias": champion.alias,
        "revision": champion.revision,
        "job_id": champion.job_id,
        "evaluation": evidence.get("evaluation"),
        "passes": proposal.passes,
        "same": proposal.same,
        "forced": champion.forced,
        "gates": gates,
        "limits": evidence.get("limits"),
        "chosen": evidence.get("chosen"),
        "operating_point": evidence.get("operating_point"),
    }


def _way(proposal: Proposal) -> str:
    if any(not one.forcible for one in proposal.refused):
        return "this cannot be forced"
    return "it can be forced: --force --reason TEXT"
