"""`adctl data`: check pictures, prepare published datasets, draw some, list what there is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ad_cli import out, session
from ad_cli.commands import options
from ad_platform.errors import DiskFull, InvalidData, MissingExtra, StoreDown

if TYPE_CHECKING:
    from ad_detectors.data.prepare.writing import Prepared
    from ad_platform.records import Holding, PushedData

app = typer.Typer(no_args_is_help=True, help="Pictures: check, draw, push and list them.")


Pushed = Annotated[
    str,
    typer.Argument(
        metavar="FINGERPRINT",
        help="Of what was pushed: its first characters, or DATASET/CATEGORY.",
        show_default=False,
    ),
]


class Published(Enum):
    """The datasets that can be prepared."""

    VISA = "visa"
    BTAD = "btad"
    MPDD = "mpdd"


@app.command()
def check(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A category, or a folder of categories.")],
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Name every bad file, and every mask without a picture.

    Ends with 2 if there are errors; warnings and notes are no errors.
    """
    with _pictures("checking pictures"):
        from ad_detectors.data.check import check as look

        reports = look(folder)
    if out.as_json():
        out.data([report.to_json() for report in reports])
    else:
        for report in reports:
            for line in [report.verdict()] if out.quiet() else report.lines():
                out.text(line)
    bad = [report.category for report in reports if report.errors]
    if bad:
        raise InvalidData(f"repair before training: {', '.join(bad)}")


@app.command()
def prepare(
    dataset: Annotated[Published, typer.Argument(metavar="visa|btad|mpdd", help="Which dataset it is.")],
    source: Annotated[Path, typer.Argument(metavar="SRC", help="The dataset as it unpacks.")],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="Where its categories go.")],
    category: Annotated[
        list[str] | None,
        typer.Option("--category", "-c", metavar="NAME", help="Only this one; may be repeated."),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Hard-link pictures instead of copying.", show_default=False)
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Bring a published dataset into the layout that is read.

    Each category is made whole or not at all; called again it goes on. Nothing is ever overwritten.
    """
    with _pictures("preparing a dataset"):
        from ad_detectors.data.prepare.datasets import prepare as make

        def told(one: "Prepared") -> None:
            state = "made" if one.new else "was there"
            out.note(f"{one.category} {state}: {one.pictures} pictures, {one.masks} masks")

        made = make(dataset.value, source, target, only=category or (), link=link, told=told)
    _paths([one.path for one in made])


@app.command()
def synth(
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The category's folder, made new.")],
    seed: Annotated[int, typer.Option(callback=options.within(0), help="Another one, other screws.")] = 0,
    train: Annotated[int, typer.Option(metavar="N", help="Normal pictures to learn from.")] = 60,
    test_good: Annotated[int, typer.Option(metavar="N", help="Normal test pictures.")] = 20,
    per_defect: Annotated[int, typer.Option(metavar="N", help="Test pictures of each defect.")] = 8,
    size: Annotated[int, typer.Option(metavar="PIXELS", help="Of each side.")] = 256,
    fixture: Annotated[
        bool,
        typer.Option("--fixture", help="All screws held alike, under lights that stay.", show_default=False),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Draw a category of screws, with defects and their masks."""
    with _pictures("drawing pictures"):
        from ad_detectors.data.synth import make

        out.note(
            f"drawing {train} pictures to train, {test_good} good and {per_defect} of each defect to test"
        )
        make(
            target,
            seed=seed,
            train=train,
            test_good=test_good,
            per_defect=per_defect,
            size=size,
            fixture=fixture,
        )
    _paths([target])


@app.command()
def push(
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="A category, or a folder of categories.", show_default=False),
    ] = None,
    dataset: options.Dataset = None,
    category: options.Category = None,
    again: Annotated[
        bool,
        typer.Option("--check", help="Read back what is there, and send what is broken.", show_default=False),
    ] = False,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Send pictures to the storage, for workers that do not have them.

    Each content once: what is there already is not sent again, and a push that was cut off goes on.
    """
    from ad_cli import pushing

    with session.client() as client:
        pushing.push(client, pushing.asked(client, folder, dataset, category), check=again)


@app.command()
def pull(
    pushed: Pushed,
    folder: Annotated[
        Path | None,
        typer.Argument(metavar="[DIR]", help="Default: DATASET/CATEGORY here.", show_default=False),
    ] = None,
    as_json: out.AsJson = False,
    quiet: out.Quiet = False,
) -> None:
    """Copy pushed pictures into a folder.

    Nothing is ever overwritten; called again it goes on.
    """
    from ad_cli import pushing

    with session.client() as client:
        pushing.pull(client, pushed, folder)


@app.command()
def drop(pushed: Pushed, as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """Let workers fetch pushed pictures no more.

    Refused while a job needs them. The next adctl gc takes the files.
    """
    from ad_cli import pushing

    with session.client() as client:
        pushing.drop(client, pushed)


@app.command("list")
def list_data(as_json: out.AsJson = False, quiet: out.Quiet = False) -> None:
    """List what lies here, at the workers, and in the storage."""
    from ad_cli.collecting import size
    from ad_cli.inventory import inventory
    from ad_cli.pushing import pushed_json

    held, pushed = _elsewhere()
    with _pictures():
        places = inventory(session.settings().data_root, held, pushed)
    if out.as_json():
        out.data([{**vars(place), "pushed": [*map(pushed_json, place.pushed)]} for place in places])
    elif out.quiet():
        for place in places:
            out.text(f"{place.dataset}/{place.category}")
    else:
        rows = [
            (
                f"{place.dataset}/{place.category}",
                "-" if place.train is None else str(place.train),
                "-" if place.test is None else str(place.test),
                ",".join(place.nodes) or "-",
                size(place.pushed[0].size) if place.pushed else "-",
                place.problem or place.path or "-",
            )
            for place in places
        ]
        empty = (
            f"no pictures below {session.settings().data_root}; set ADCTL_DATA, or try: adctl data synth OUT"
        )
        out.table(("CATEGORY", "TRAIN", "TEST", "WORKERS", "PUSHED", "HERE"), rows, empty=empty)


def _elsewhere() -> "tuple[Sequence[Holding], Sequence[PushedData]]":
    try:
        with session.client() as client:
            return client.holdings(), client.pushed()
    except StoreDown as error:
        out.note(f"{error}; shown is what lies here")
        return (), ()


def _paths(paths: Sequence[Path]) -> None:
    if out.as_json():
        out.data([str(path) for path in paths])
    else:
        for path in paths:
            out.text(str(path))


@contextmanager
def _pictures(what: str = "") -> Iterator[None]:
    """Say what a light install lacks, and turn the detectors' errors into the platform's."""
    if what and not (find_spec("PIL") and find_spec("numpy")):
        raise MissingExtra(what, "worker")
    from ad_detectors.errors import DataError, NoRoom

    try:
        yield
    except NoRoom as error:
        raise DiskFull(str(error)) from error
    except DataError as error:
        raise InvalidData(str(error)) from error
