"""What a person can ask: the commands of adctl, and the one place where errors become exit codes."""

import gc as garbage
import io
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from ad_cli import interrupts, out
from ad_cli.commands import (
    benchmark,
    cluster,
    config,
    data,
    db,
    detectors,
    diff,
    doctor,
    export,
    follow,
    gc,
    jobs,
    leaderboard,
    metrics,
    migrate,
    models,
    predict,
    promote,
    queue,
    quickstart,
    quota,
    report,
    results,
    serve,
    stack,
    submit,
    sweep,
    threshold,
    ui,
    why,
    worker,
)
from ad_cli.exits import SYSTEM, Exit, exit_of
from ad_cli.ordering import arrange, only, outline
from ad_platform.errors import AdctlError, InvalidRequest

HELP = ("-h", "--help")

# No markup mode: help is plain text, and rich is not loaded for it.
app = typer.Typer(
    name="adctl",
    no_args_is_help=True,
    add_completion=False,  # our own answers in a third of the time
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": [*HELP]},
)


def _version(wanted: bool) -> None:
    if wanted:
        from ad_platform.code_version import package_version

        out.text(f"adctl {package_version()}")
        raise typer.Exit


def _show_completion(wanted: bool) -> None:
    if wanted:
        from ad_cli.completion import shells

        sys.stdout.write(shells.script(_shell()))
        raise typer.Exit


def _install_completion(wanted: bool) -> None:
    if wanted:
        from ad_cli.completion import shells

        shell = _shell()
        out.note(f"{shell}: {shells.install(shell, Path.home())}; open a new shell for it to count")
        raise typer.Exit


def _shell() -> str:
    from ad_cli.completion import shells

    if name := shells.of_this_person(os.environ):
        return name
    names = ", ".join(shells.SHELLS)
    raise InvalidRequest(f"which shell this is cannot be seen; set SHELL to one of {names}")


@app.callback()
def adctl(
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
    _install: Annotated[
        bool,
        typer.Option(
            "--install-completion",
            help="Let the Tab key complete commands, job ids and settings, in bash, zsh or fish.",
            callback=_install_completion,
            is_eager=True,
        ),
    ] = False,
    _show: Annotated[
        bool,
        typer.Option(
            "--show-completion",
            help="Print the script that does so, to put where you like.",
            callback=_show_completion,
            is_eager=True,
        ),
    ] = False,
) -> None:
    """Run experiments in visual anomaly detection, here or on a cluster.

    Start with `adctl up`, then `adctl submit train --model ddad --data DIR`.
    """


for group in (
    stack,
    quickstart,
    jobs,
    follow,
    why,
    diff,
    promote,
    report,
    leaderboard,
    threshold,
    predict,
    results,
    export,
    serve,
    doctor,
    metrics,
    config,
    ui,
):
    group.add_to(app)
app.add_typer(submit.app, name="submit")
app.add_typer(sweep.app, name="sweep")
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(models.app, name="models")
app.add_typer(queue.app, name="queue")
app.add_typer(quota.app, name="quota")
app.add_typer(worker.app, name="worker")
app.add_typer(detectors.app, name="detectors")
app.add_typer(data.app, name="data")
app.add_typer(db.app, name="db")
app.add_typer(cluster.app, name="cluster")
app.add_typer(migrate.app, name="migrate")
app.add_typer(gc.app, name="gc")
arrange(app)


def run(arguments: Sequence[str]) -> int:
    """Run one call of adctl and return its exit code; only words and data come out, never a traceback."""
    out.reset()
    interrupts.came.clear()
    try:
        return _call(arguments)
    except SystemExit as end:
        return _code(end)
    except AdctlError as error:
        return _say(error, exit_of(error))
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        code = SYSTEM.get(error.errno or 0, Exit.UNAVAILABLE)
        hint = "; free some room, or write elsewhere" if code is Exit.DAMAGED else ""
        return _say(error, code, f"{place}{error.strerror or error}{hint}")
    except Exception as error:  # noqa: BLE001 - the outermost edge
        if interrupts.came:
            return Exit.INTERRUPTED
        words = f"{type(error).__name__}: {error}; this is a fault of adctl: ADCTL_DEBUG=1 shows where"
        return _say(error, Exit.BUG, words)


def _call(arguments: Sequence[str]) -> int:
    """Let Typer make the call; what was mistyped becomes one line, not a page about usage."""
    if any(not text or len(text) > 1000 or not text.isprintable() for text in arguments):
        from ad_cli import mistakes, tree

        mistakes.check_arguments(arguments, tree.read(app))  # what is typed ends in a store or on a terminal
    try:
        # To build every command takes 60 ms: the one that is called will do, or what the page shows of all.
        called = only(app, arguments[0]) if arguments and arguments[0] not in HELP else outline(app)
        code = called(args=list(arguments), prog_name="adctl", standalone_mode=False)
    except typer.TyperException as error:
        from ad_cli import mistakes, tree

        if page := mistakes.bare_group(error):
            if not arguments:
                out.text(page)
                return Exit.OK
            out.note(page)
        raise mistakes.Mistyped(mistakes.explain(error, tree.read(app), arguments)) from error
    return code if isinstance(code, int) else Exit.OK


def main() -> None:
    """Run adctl as a program."""
    _hold_standard_files()
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is not ignored
        signal.signal(signal.SIGINT, interrupts.interrupt)
    # Loading libraries leaves no garbage; looking for it as often as usual takes a tenth of a short call.
    garbage.set_threshold(50_000, *garbage.get_threshold()[1:])
    if "_ADCTL_COMPLETE" in os.environ:
        from ad_cli import tree
        from ad_cli.completion.shells import answer

        return answer(lambda: tree.read(app), os.environ)
    sys.exit(run(sys.argv[1:]))


def _hold_standard_files() -> None:
    """Let a closed stdin, stdout or stderr lead nowhere: the next file opened would take its place."""
    while (held := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(held)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the whole call
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that this terminal cannot show is no error


def _say(error: Exception, code: Exit, words: str | None = None) -> int:
    if os.environ.get("ADCTL_DEBUG") == "1":
        import traceback

        from ad_platform.redaction import redacted

        sys.stderr.write(redacted("".join(traceback.format_exception(error))))
    out.error(words or str(error))
    return code


def _code(end: SystemExit) -> int:
    """Return the exit code of what ended the call; a reader that has seen enough is no error."""
    if end.code is None or isinstance(end.__context__, BrokenPipeError):
        return Exit.OK
    return end.code if isinstance(end.code, int) else Exit.BUG
