"""How a watch ends: what became of each job, as data."""

from collections.abc import Sequence

from ad_cli import measures, out, shapes
from ad_platform.records import Job
from ad_platform.states import JobKind, JobState

DEFECTS_A_LINE = 4


def show_ends(jobs: Sequence[Job]) -> None:
    """Print how jobs ended: one line each, and the measures of evaluations below theirs."""
    for job in jobs:
        if out.quiet():
            out.text(f"{job.id} {job.state}")
            continue
        state = out.in_colour(words := shapes.state_words(job), shapes.COLOURS.get(words, ""))
        out.text(f"{job.id[: shapes.SHORT]}  {shapes.title(job)}: {state}{_took(job)}{_words(job)}")
        if job.state is JobState.SUCCEEDED and job.kind is JobKind.EVALUATE:
            _show_measures(job)
    _say_what_next(jobs)


def _say_what_next(jobs: Sequence[Job]) -> None:
    """Point to more of it: the log of what failed first, else everything about the last."""
    failed = next((job for job in jobs if job.state is JobState.FAILED and job.attempt), None)
    if failed is not None:
        out.note(f"what it wrote: adctl logs {failed.id[: shapes.SHORT]} --tail 30")
    elif jobs[-1].state is JobState.SUCCEEDED:
        out.note(f"all of it: adctl show {jobs[-1].id[: shapes.SHORT]}")


def _took(job: Job) -> str:
    if job.started_at is None or job.finished_at is None:
        return ""
    return f" after {shapes.span(job.finished_at - job.started_at)}"


def _words(job: Job) -> str:
    """Return what a line can hold of a result, or why there is none."""
    if job.pruned:
        seen = shapes.seen_words(job)
        return f"  {seen}" if seen else ""
    if job.state is not JobState.SUCCEEDED:
        why = ": ".join(part for part in (str(job.failure or ""), job.error) if part)
        return f"  {why}" if why else ""
    if job.kind is JobKind.EVALUATE:
        return ""
    if job.kind is JobKind.TRIAL:
        found = shapes.result_metrics(job)
        return "  " + "  ".join(
            measures.short(name, found[name]) for name in job.spec.measures if name in found
        )
    words = shapes.headline(job)
    return f"  {words}" if words else ""


def _show_measures(job: Job) -> None:
    found = measures.headlines(job, measures.in_order(shapes.result_metrics(job)))
    out.pairs({f"  {name}": value for name, value in found.items()})
    defects = [f"{row[0]} {row[1]}" for row in measures.defect_rows(job) if row[1] != "-"]
    for start in range(0, len(defects), DEFECTS_A_LINE):
        lead = "  image AUROC by defect  " if start == 0 else " " * 25
        out.text(lead + "  ".join(defects[start : start + DEFECTS_A_LINE]))
