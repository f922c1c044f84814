"""`adctl cancel` and `adctl retry`: end jobs, and run ended ones again."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options
from ad_cli.exits import exit_of
from ad_platform.errors import AdctlError, Conflict, InvalidRequest
from ad_platform.states import JobState

if TYPE_CHECKING:
    from ad_platform.client import Client
    from ad_platform.records import Job

OPEN = [state for state in JobState if not state.terminal]


def cancel(
    jobs: Annotated[
        list[str] | None,
        typer.Argument(metavar="JOB", help="Ids, their first characters, or @last.", show_default=False),
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="All of yours that have not ended.", show_default=False)
    ] = False,
    state: Annotated[
        list[JobState] | None,
        typer.Option(
            "--state",
            "-s",
            case_sensitive=False,
            help="Of --all only those in this state; may be repeated.",
            show_default=False,
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """End jobs; one that runs is told within seconds.

    Jobs that need one of them, such as its evaluation, cannot run then and end too.
    """
    with session.client() as client:
        texts = _chosen(client, jobs or (), state or (), everything=everything)
        ended, first_error = _each(texts, lambda text: _cancel(client, text))
        fallen = [
            other
            for job in ended
            for other in client.dependents(job)
            if other.state is JobState.FAILED and other.id not in {one.id for one in ended}
        ]
    if out.as_json():
        out.data([shapes.job_json(job) for job in ended])
    else:
        for job in ended:
            out.text(job.id if out.quiet() else f"{_name(job)}: {shapes.state_words(job)}")
    for other in fallen:
        out.note(f"{_name(other)}: cannot run without it and ended too")
    raise typer.Exit(first_error)


def retry(
    jobs: Annotated[
        list[str],
        typer.Argument(metavar="JOB", help="Ids, their first characters, or @last.", show_default=False),
    ],
    wait: options.Wait = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Run ended jobs again, from their last checkpoints.

    An ended job stays as it is; a new one goes on where it stopped. Only failed and cancelled jobs can be
    run again.
    """
    with session.client() as client:
        new, first_error = _each(jobs, lambda text: _retry(client, text))
        if wait and new:
            from ad_cli.watching import watch_to_the_end

            watched = [*new, *(other for job in new for other in client.dependents(job))]
            raise typer.Exit(watch_to_the_end(client, watched) or first_error)
    if out.as_json():
        # One job is an object, as it was asked for; several are a list.
        values = [shapes.job_json(job) for job in new]
        out.data(values[0] if len(jobs) == 1 and values else list(values))
    raise typer.Exit(first_error)


def _chosen(
    client: "Client", texts: Sequence[str], states: Sequence[JobState], *, everything: bool
) -> Sequence[str]:
    """Return the jobs to cancel, by id; raise InvalidRequest for a call that names none or too much."""
    if not everything:
        if states:
            raise InvalidRequest("--state chooses among --all; add --all, or name the jobs")
        if not texts:
            raise InvalidRequest(
                "which job? give its id, its first characters or @last; adctl list shows them"
            )
        return texts
    if texts:
        raise InvalidRequest("give jobs or --all, not both")
    if ended := [state for state in states if state.terminal]:
        raise InvalidRequest(f"what has {ended[0]} cannot be cancelled; --state takes {', '.join(OPEN)}")
    mine = client.jobs(states=states or OPEN, user=client.settings.user, limit=100_000)
    if not mine:
        out.note("nothing of yours is " + ", ".join(states or OPEN))
    # What needs another job comes first, so that it ends cancelled and not for want of it.
    return [job.id for job in mine]


def _each(texts: Sequence[str], act: "Callable[[str], Job]") -> "tuple[list[Job], int]":
    """Do something to each job; one that cannot be found or done must not keep the others from it."""
    done, first_error = [], 0
    for text in dict.fromkeys(texts):
        try:
            done.append(act(text))
        except AdctlError as error:
            if len(texts) == 1:
                raise
            out.error(str(error))
            first_error = first_error or exit_of(error)
    return done, first_error


def _cancel(client: "Client", text: str) -> "Job":
    job = client.job(text)
    if job.state.terminal:
        how = "was pruned" if job.pruned else ENDED[job.state]
        raise Conflict(f"job {job.id} {how} already; there is nothing to cancel")
    return client.cancel(job.id)


def _retry(client: "Client", text: str) -> "Job":
    job = client.job(text)
    if job.state is JobState.SUCCEEDED:
        raise Conflict(
            f"job {job.id} succeeded; only failed and cancelled jobs are run again "
            f"(for a new one: adctl submit --from {job.id})"
        )
    if not job.state.terminal:
        raise Conflict(f"job {job.id} is {job.state}; it can be retried once it has failed or was cancelled")
    submitted = client.retry(job.id)
    for warning in submitted.warnings:
        out.warn(warning)
    new = submitted.jobs[0]
    if out.quiet():
        out.text(new.id)
    elif not out.as_json():
        out.text(f"{_name(new)}: goes on for {job.id[: shapes.SHORT]}, {new.state}")
    return new


ENDED = {
    JobState.SUCCEEDED: "succeeded",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "was cancelled",
}


def _name(job: "Job") -> str:
    return f"{job.id[: shapes.SHORT]}  {shapes.title(job)}"
