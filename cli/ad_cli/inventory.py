"""Which categories there are: below ADCTL_DATA here, and where workers have reported them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ad_detectors.data.layout import folders_in, open_category
from ad_detectors.errors import DataError
from ad_platform.records import Holding, PushedData


@dataclass
class Place:
    """A category and what is known of it."""

    dataset: str
    category: str
    path: str = ""  # here
    train: int | None = None  # pictures; None when they lie on another machine
    test: int | None = None
    nodes: list[str] = field(default_factory=list)  # whose workers can read it
    problem: str = ""  # why it cannot be used here
    pushed: list[PushedData] = field(default_factory=list)  # what lies in the storage, newest first


def inventory(root: Path, held: Sequence[Holding], pushed: Sequence[PushedData] = ()) -> list[Place]:
    """Return the categories of all, sorted; what cannot be read says why."""
    places: dict[tuple[str, str], Place] = {}
    for place in _here(root):
        places[place.dataset, place.category] = place
    for holding in held:
        place = places.setdefault(
            (holding.dataset, holding.category), Place(holding.dataset, holding.category)
        )
        if holding.node not in place.nodes:
            place.nodes = sorted([*place.nodes, holding.node])
    for note in pushed:
        if note.dataset:
            there = places.setdefault((note.dataset, note.category), Place(note.dataset, note.category))
            there.pushed.append(note)
    return [places[key] for key in sorted(places)]


def _here(root: Path) -> list[Place]:
    places = []
    for dataset in folders_in(root) if root.is_dir() else []:
        if (dataset / "train").is_dir():
            problem = "a category where a dataset was expected; ADCTL_DATA holds <dataset>/<category>"
            places.append(Place("", dataset.name, str(dataset), problem=problem))
        else:
            places += [_opened(folder) for folder in folders_in(dataset)]
    return places


def _opened(folder: Path) -> Place:
    place = Place(folder.parent.name, folder.name, str(folder))
    try:
        category = open_category(folder)
    except DataError as error:
        place.problem = str(error)
    else:
        place.train, place.test = len(category.train), len(category.test)
    return place
