"""What is to be scored, found and checked before torch is loaded: a typing error is said at once."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from ad_platform import models
from ad_platform.client import Client
from ad_platform.errors import InvalidData, InvalidRequest, InvalidValue
from ad_workers.predicting.pictures import STDIN, Picture, collect, names_in, spooled
from ad_workers.predicting.places import Makes, no_masks
from ad_workers.predicting.rows import CSV
from ad_workers.predicting.settling import Watched

if TYPE_CHECKING:
    from ad_workers.predicting.scoring import Run
    from ad_workers.predicting.watching import Watch

USUAL = Makes()


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What a person wants scored."""

    model: str
    images: Sequence[str] = ()
    files_from: str | None = None  # a file that lists names, "-" for stdin
    null: bool = False  # names in it end with NUL, not with a line
    out: Path | None = None  # a folder for heat maps and a table
    makes: Makes = USUAL  # what is drawn there
    form: str = CSV  # of the table: csv or jsonl
    overwrite: bool = False
    rate: float | None = None  # of false alarms; None takes the calibrated threshold
    threshold: float | None = None  # set by hand
    device: str = "auto"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a picture on stdin comes from, and where it may be kept meanwhile."""

    stdin: BinaryIO | None = None  # None where nobody pipes anything in
    scratch: Path = Path()


NOWHERE = Place()


def begin(client: Client, asked: Asked, place: Place = NOWHERE) -> "Run":
    """Find everything that is named and load the model; raise, before anything is written, what is wrong."""
    check(asked)
    pictures = pictures_of(asked, place)
    from ad_workers.predicting.output import Output  # its drawing needs numpy and Pillow

    output = None
    if asked.out is not None:
        output = Output(asked.out, pictures, asked.makes, form=asked.form, overwrite=asked.overwrite)
    model = models.find(client, asked.model)
    from ad_workers.predicting.scoring import Run, load

    loaded = load(client, model, device=asked.device, rate=asked.rate, by_hand=asked.threshold)
    if asked.makes.masks and loaded.threshold.point is None:
        raise InvalidRequest(no_masks(loaded.threshold.source))
    return Run(pictures, loaded, output)


def begin_watch(client: Client, asked: Asked, watched: Watched) -> "Watch":
    """Check the folders, take the one for results, and load the model; raise what is wrong.

    Raises Conflict where somebody else fills that folder from a watch.
    """
    check(asked)
    if asked.images or asked.files_from is not None:
        raise InvalidRequest("--watch DIR takes the place of images; name no others")
    if asked.out is None:
        raise InvalidRequest("--watch needs --out DIR: what was scored is remembered there")
    if not watched.folder.is_dir():
        what = "is a file" if watched.folder.exists() else "does not exist"
        raise InvalidData(f"{watched.folder} {what}; --watch takes a folder")
    if asked.out.exists() and asked.out.resolve() == watched.folder.resolve():
        raise InvalidRequest(
            "--out is the folder that is watched; choose another: heat maps are pictures too"
        )
    model = models.find(client, asked.model)
    from ad_workers.predicting.scoring import load
    from ad_workers.predicting.watching import Watch

    loaded = load(client, model, device=asked.device, rate=asked.rate, by_hand=asked.threshold)
    return Watch(loaded, watched, asked.out, asked.makes, form=asked.form)


def check(asked: Asked) -> None:
    """Raise InvalidRequest or InvalidValue for what cannot be asked, whatever there is to score."""
    if asked.rate is not None and asked.threshold is not None:
        raise InvalidRequest("give either --rate or --threshold, not both")
    if asked.threshold is not None and not math.isfinite(asked.threshold):
        raise InvalidValue(f"--threshold must be a number, not {asked.threshold}")
    if asked.rate is not None and not 0 < asked.rate < 1:
        raise InvalidValue(f"--rate is a share between 0 and 1, not {asked.rate:g}")


def pictures_of(asked: Asked, place: Place) -> list[Picture]:
    """Return the pictures that are asked for, by name, by list or on stdin; raise InvalidData for none."""
    if STDIN in asked.images:
        if len(asked.images) > 1 or asked.files_from is not None:
            raise InvalidRequest("`-` is one picture on stdin and stands alone; a list is --files-from FILE")
        if place.stdin is None:
            raise InvalidRequest(
                "`-` is a picture's bytes on stdin, which is a terminal: cat part.png | adctl predict MODEL -"
            )
        return [spooled(place.stdin, place.scratch)]
    listed = _listed(asked, place) if asked.files_from is not None else ()
    return [Picture.at(file) for file in collect(asked.images, listed)]


def _listed(asked: Asked, place: Place) -> list[str]:
    assert asked.files_from is not None
    if asked.files_from == STDIN:
        if place.stdin is None:
            raise InvalidRequest(
                "--files-from - reads names from stdin, which is a terminal: "
                "find DIR -name '*.png' | adctl predict MODEL --files-from -"
            )
        return names_in(place.stdin, "stdin", null=asked.null)
    file = Path(asked.files_from).expanduser()
    try:
        with file.open("rb") as source:
            return names_in(source, str(file), null=asked.null)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise InvalidData(
            f"cannot read the list {file}: {words}; --files-from takes a file of names"
        ) from error
