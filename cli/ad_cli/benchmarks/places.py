"""Which categories a benchmark is about: those of datasets or folders that were named, or some of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ad_cli import out
from ad_platform import datasets
from ad_platform.datasets import Found
from ad_platform.errors import InvalidData, InvalidRequest
from ad_platform.naming import match

if TYPE_CHECKING:
    from ad_platform.client import Client

MANY = 3  # categories whose pictures are read, from which on it is said which one


@dataclass(frozen=True)
class _Place:
    """A category that may be meant: in a folder, or by its name."""

    dataset: str
    category: str
    folder: Path | None = None

    @property
    def words(self) -> str:
        return f"{self.dataset}/{self.category}"


def find(client: Client, data: Sequence[Path], names: Sequence[str], wanted: Sequence[str]) -> list[Found]:
    """Return the categories, each with what is known of its pictures.

    `data` are folders of datasets or categories, `names` those of datasets; `wanted` chooses among their
    categories, as "screw" or "mvtec/screw". Raises UnknownName with what comes nearest, InvalidRequest where
    nothing is named, and InvalidData for a category that has no test images.
    """
    if data and names:
        raise InvalidRequest("give either --data DIR or --dataset NAME, not both")
    known = _in_folders(data) if data else _named(client, names, wanted)
    chosen = _chosen(known, wanted)
    found = []
    for number, place in enumerate(chosen, 1):
        if len(chosen) > MANY:
            out.note(f"reading {place.words} ({number} of {len(chosen)})")
        found.append(_open(client, place))
    if lacking := [each.ref.category for each in found if not each.has_test]:
        raise InvalidData(
            f"{', '.join(lacking)}: no test images, so nothing can be measured; expected test/good and "
            "test/<defect>"
        )
    return found


def _in_folders(folders: Sequence[Path]) -> list[_Place]:
    found = []
    for folder in folders:
        whole = folder.expanduser().absolute()
        inside = [] if (whole / "train").is_dir() else datasets.inside(whole)
        for each in inside or [whole]:
            found.append(_Place(each.parent.name, each.name, each))
    return found


def _named(client: Client, names: Sequence[str], wanted: Sequence[str]) -> list[_Place]:
    """Return the categories of datasets by name, here and where workers have them."""
    root = client.settings.data_root
    local = [folder for folder in _folders(root) if datasets.inside(folder)]
    here = {_Place(folder.name, each.name) for folder in local for each in datasets.inside(folder)}
    every = sorted(
        {*here, *(_Place(one.dataset, one.category) for one in client.holdings())},
        key=lambda one: (one.dataset, one.category),
    )
    if not names and not wanted:
        raise InvalidRequest("say which images: --dataset NAME[,NAME...], or --data DIR")
    if not every:
        raise InvalidRequest(
            f"no dataset is known: none lies below {root} (ADCTL_DATA), and no worker has one; "
            "give folders: --data DIR"
        )
    known = dict.fromkeys(one.dataset for one in every)
    chosen = [match("dataset", name, known) for name in names] or list(known)
    return [one for name in dict.fromkeys(chosen) for one in every if one.dataset == name]


def _chosen(known: Sequence[_Place], wanted: Sequence[str]) -> list[_Place]:
    """Return the categories that are wanted, all where none is named; in the order they were named in."""
    if not wanted:
        return list(known)
    found: dict[_Place, None] = {}
    for text in wanted:
        if "/" in text:
            name = match("category", text, [one.words for one in known])
            fitting = [one for one in known if one.words == name]
        else:
            name = match("category", text, list(dict.fromkeys(one.category for one in known)))
            fitting = [one for one in known if one.category == name]
        if len(fitting) > 1:
            several = ", ".join(one.words for one in fitting)
            raise InvalidRequest(f"several datasets have a category '{text}': {several}; write one of these")
        found |= dict.fromkeys(fitting)
    return list(found)


def _open(client: Client, place: _Place) -> Found:
    if place.folder is not None:
        return datasets.open_folder(client.settings, place.folder)
    return datasets.find(client, None, place.dataset, place.category)


def _folders(root: Path) -> list[Path]:
    return sorted(child for child in root.iterdir() if child.is_dir()) if root.is_dir() else []
