"""`adctl why`: what keeps a job from running, or from its end."""

from typing import TYPE_CHECKING, cast

import typer

from ad_cli import out, session, shapes
from ad_cli.commands import options

if TYPE_CHECKING:
    from ad_platform.specs import Json
    from ad_platform.why import Reasons


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(why)


def why(job: options.JobText, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Say why a job is not running, and when it will start or end.

    Of a job that runs: where, and whether it is heard of. Of one that failed: the error, and what may help.
    """
    from ad_platform.why import explain

    with session.client() as client:
        reasons = explain(client, client.job(job))
    if out.as_json():
        out.data(_json(reasons))
    elif out.quiet():
        out.text(" ".join(dict.fromkeys(cause.kind.value for cause in reasons.causes)))
    else:
        out.text(f"{reasons.job.id}  {reasons.job.kind} {shapes.state_words(reasons.job)}")
        for line in reasons.lines:
            out.text(f"  {line}")


def _json(reasons: "Reasons") -> "Json":
    from dataclasses import asdict

    return cast(
        "Json",
        {
            "id": reasons.job.id,
            "state": reasons.job.state.value,
            "could_run": reasons.could_run,
            "causes": [asdict(cause) for cause in reasons.causes],
            "past": list(reasons.past),
            "estimate": asdict(reasons.estimate) if reasons.estimate else None,
            "lines": list(reasons.lines),
        },
    )
