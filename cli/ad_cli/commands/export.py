"""`adctl export`: write a fitted model to a file that other programs run."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_platform.errors import InvalidValue, suggest

if TYPE_CHECKING:
    from ad_workers.exporting.making import Exported

FORMATS = ("onnx", "openvino")


def add_to(app: typer.Typer) -> None:
    """Add the command to an application."""
    app.command()(export)


def export(
    model: options.FittedModel,
    kind: Annotated[
        str, typer.Option("--format", "-f", metavar="onnx|openvino", help="The kind of file.")
    ] = "onnx",
    to: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE",
            help="The .onnx or .xml file. Default: named after the model, here.",
            show_default=False,
        ),
    ] = None,
    rate: options.Rate = None,
    threshold: options.Threshold = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="DIR",
            help="Images to compare scores on. Default: test images of the category, if they lie here.",
            show_default=False,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Replace files that lie there.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Write a model to a file that needs nothing of adctl.

    Images of any size go in as uint8, height x width x 3 RGB; out come scores, decisions at the threshold and
    anomaly maps. Before the file is put in its place, its scores are compared with the model's.
    """
    if kind.lower() not in FORMATS:
        raise InvalidValue(f"there is no format '{kind}'; {suggest(kind, FORMATS)}")
    # Read when torch is loaded: threads that spin while they wait slow a shared machine tenfold.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from ad_workers.exporting.asking import export as write
    from ad_workers.exporting.request import Asked, Format

    asked = Asked(
        model=model,
        format=Format(kind.lower()),
        out=to,
        force=force,
        rate=rate,
        threshold=threshold,
        check=check,
    )
    with session.client() as client:
        made = write(client, asked)
    _show(made)


def _show(made: "Exported") -> None:
    if out.as_json():
        out.data(made.to_json())
        return
    out.text(str(made.files[-1]))
    out.note(f"{' and '.join(path.name for path in made.files)}: {made.bytes / 1e6:.1f} MB")
    out.note(made.threshold.words)
    found = made.parity
    if found is None:
        out.warn("its scores were not compared with the model's, for want of images: --check DIR")
        return
    others = f"{found.decisions} decisions differ" if found.decisions else "all decisions are the same"
    out.note(
        f"compared on {found.pictures} images: scores differ by {found.score:.1g} of the highest at most, "
        f"maps by {found.map:.1g}; {others}"
    )
