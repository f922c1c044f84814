"""`adctl quota`: how much the jobs of one user may take at a time."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session, shapes
from ad_platform.errors import InvalidRequest

if TYPE_CHECKING:
    from ad_platform.quotas import QuotaState

COLUMNS = ("USER", "GPUS", "JOBS", "SET BY", "SINCE")
NONE = "none"

app = typer.Typer(no_args_is_help=True, help="How much one user's jobs may take at a time.")

User = Annotated[str, typer.Argument(metavar="USER", help="Whose jobs.", show_default=False)]


def _limit(text: str) -> int | str:
    """Read a number of 0 or more, or none."""
    word = text.strip().lower()
    if word == NONE:
        return NONE
    if not word.isascii() or not word.isdigit() or len(word) > 6:
        raise typer.BadParameter(f"it must be a whole number of 0 or more, or {NONE}, not '{text}'")
    return int(word)


@app.command("set")
def set_quota(
    user: User,
    gpus: Annotated[
        str | None,
        typer.Option(
            parser=_limit, metavar="N|none", help="GPUs that running jobs may hold.", show_default=False
        ),
    ] = None,
    jobs: Annotated[
        str | None,
        typer.Option(parser=_limit, metavar="N|none", help="Jobs that may run.", show_default=False),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Let a user's jobs take no more than this at a time.

    What is not given stays as it was; none lifts it. What runs goes on, and jobs may still be submitted.
    """
    if gpus is None and jobs is None:
        raise InvalidRequest("say how much: --gpus N, --jobs N or both")
    with session.client() as client:
        before = next((one.quota for one in client.quotas() if one.quota.user == user), None)
        wanted = {
            name: _chosen(said, getattr(before, name, None))
            for name, said in (("gpus", gpus), ("jobs", jobs))
        }
        if wanted == {"gpus": None, "jobs": None}:
            raise InvalidRequest(f"that leaves no limit; to lift a quota: adctl quota clear {user}")
        state = client.set_quota(user, **wanted)
    if out.as_json():
        out.data(state.to_json())
    elif out.quiet():
        out.text(user)
    else:
        out.text(f"{user}  {words(state)}")


@app.command("list")
def list_quotas(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List quotas, with what is used of each."""
    with session.client() as client:
        states = client.quotas()
    if out.as_json():
        out.data([state.to_json() for state in states])
    elif out.quiet():
        for state in states:
            out.text(state.quota.user)
    else:
        rows = [cells(state) for state in states]
        out.table(COLUMNS, rows, empty="no user has a quota; set one with: adctl quota set USER --gpus N")


@app.command()
def clear(user: User, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Lift a user's quota."""
    with session.client() as client:
        name = client.clear_quota(user)
    if out.as_json():
        out.data({"user": name, "cleared": True})
    elif out.quiet():
        out.text(name)
    else:
        out.text(f"{name}  no quota")


def _chosen(said: str | int | None, before: int | None) -> int | None:
    if said is None:
        return before
    return None if said == NONE else int(said)


def cells(state: "QuotaState") -> tuple[str, ...]:
    """Return the cells of a quota's row below COLUMNS."""
    quota = state.quota
    used = ((state.gpus, quota.gpus), (state.jobs, quota.jobs))
    return (
        quota.user,
        *(f"{now} of {most}" if most is not None else f"{now}" for now, most in used),
        quota.set_by,
        f"{shapes.ago(quota.at)} ago",
    )


def words(state: "QuotaState") -> str:
    """Say how much a user may have, and has."""
    quota = state.quota
    told = []
    if quota.gpus is not None:
        told.append(f"{quota.gpus} GPU{'' if quota.gpus == 1 else 's'} ({state.gpus} in use)")
    if quota.jobs is not None:
        told.append(f"{quota.jobs} running job{'' if quota.jobs == 1 else 's'} ({state.jobs} now)")
    return "at most " + " and ".join(told)
