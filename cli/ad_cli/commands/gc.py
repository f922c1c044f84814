"""`adctl gc`: take away what nothing needs, look at the trash, bring things back."""

from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options

if TYPE_CHECKING:
    from ad_platform.retention.collecting import Outlook

app = typer.Typer(no_args_is_help=False, help="Move to a trash what nothing needs.")

What = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TRASHED]...",
        help="A job's id, its first characters, or a path in the storage. Default: all.",
        show_default=False,
    ),
]


@app.callback(invoke_without_command=True)
def collect(
    context: typer.Context,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show what would go, what would stay, and why.", show_default=False),
    ] = False,
    older_than: Annotated[
        str | None,
        typer.Option(
            metavar="AGE",
            help="Also take the work of jobs that ended longer ago and that nothing needs. "
            "Default: none of it.",
            show_default=False,
        ),
    ] = None,
    keep_last: Annotated[
        int,
        typer.Option(
            callback=options.within(0),
            metavar="N",
            help="Keep so many trainings of each detector and category, however old.",
        ),
    ] = 1,
    resumable: Annotated[
        str,
        typer.Option(metavar="AGE", help="Keep the checkpoints of what failed or was cancelled so long."),
    ] = "30d",
    grace: Annotated[str, typer.Option(metavar="AGE", help="Leave alone what was written since.")] = "1d",
    trash: Annotated[
        str, typer.Option(metavar="AGE", help="Remove for good what has lain in the trash so long.")
    ] = "7d",
    why: Annotated[
        str | None,
        typer.Option(
            metavar="JOB|PATH", help="Say of a job's files, or of a path, why they stay.", show_default=False
        ),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Move what nothing needs to the trash, and remove what has lain there for long.

    What an alias, a report, a running or resumable job, a sweep or a benchmark needs is never taken.
    """
    if options.belongs_to_command(context):
        return
    from ad_cli import collecting

    rules = collecting.rules(older_than, keep_last, grace, resumable, trash)
    with session.client() as client:
        if why is not None:
            _explain(client.collector.look(rules), why)
        elif dry_run:
            _show(client.collector.look(rules))
        else:
            done = client.collector.collect(rules)
            if out.as_json():
                out.data(collecting.collection_json(done))
            for entry in () if out.as_json() else done.thrown:
                out.text(entry.place)
            out.note(collecting.told(done))
            if done.thrown:
                out.note("bring something back with: adctl gc restore JOB")


def _show(outlook: "Outlook") -> None:
    from ad_cli import collecting

    if out.as_json():
        out.data(collecting.outlook_json(outlook, dry_run=True))
        return
    if out.quiet():
        for each in outlook.plan.taken:
            out.text(each.unit.prefix)
        return
    collecting.show(outlook)
    out.note(collecting.summed_up(outlook))
    out.note("why something stays or goes: adctl gc --why JOB; each by itself: --dry-run --json")


def _explain(outlook: "Outlook", text: str) -> None:
    from ad_cli import collecting
    from ad_platform.retention.finding import matching

    found = matching(outlook.plan.judged, text)
    if out.as_json():
        out.data([collecting.judged_json(each) for each in found])
    else:
        collecting.explain(found)


@app.command("trash")
def list_trash(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List what lies in the trash, newest first."""
    from ad_cli import collecting

    with session.client() as client:
        entries = client.collector.trash()
    if out.as_json():
        out.data([collecting.entry_json(entry) for entry in reversed(entries)])
    elif out.quiet():
        for entry in reversed(entries):
            out.text(entry.place)
    else:
        collecting.show_trash(entries)


@app.command()
def restore(what: What = None, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Bring back what lies in the trash, to where it was.

    It then stays for 30 days, whatever the rules say.
    """
    from ad_cli import collecting

    with session.client() as client:
        restored = client.collector.restore(what or ())
    if out.as_json():
        entries = [collecting.entry_json(entry) for entry in restored.entries]
        out.data({"restored": entries, "stands": list(restored.stands)})
    else:
        collecting.show_restored(restored)


@app.command()
def empty(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Remove for good what lies in the trash.

    What is needed again by now comes back instead.
    """
    from ad_cli import collecting

    with session.client() as client:
        gone = client.collector.empty()
    if out.as_json():
        out.data([collecting.entry_json(entry) for entry in gone])
        return
    for entry in gone:
        out.text(entry.place)
    out.note(f"{collecting.size(sum(entry.size for entry in gone))} removed for good")
