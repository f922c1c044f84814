"""Turns what a person says about images into a dataset reference.

The only place above the workers that imports `ad_detectors`: modules of the standard library alone, so that
client and worker find the same pictures, compute the same fingerprint, and hold as many pictures out.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.layout import open_category
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import DataError
from ad_platform.client import Client
from ad_platform.errors import InvalidData, InvalidRequest, UnknownName
from ad_platform.records import Holding
from ad_platform.settings import Settings
from ad_platform.specs import DatasetRef


@dataclass(frozen=True, kw_only=True)
class Found:
    """A category and what is known of its pictures."""

    ref: DatasetRef
    train: int | None = None  # pictures; None when they lie on another machine
    test: int | None = None
    here: bool = False

    @property
    def has_test(self) -> bool:
        """Whether there is a test split, as far as is known."""
        return self.test != 0

    def held_out(self, holdout: str) -> int:
        """Return how many pictures a holdout keeps from training, as far as is known."""
        return sum(Holdout.parse(holdout).counts(self.train or 0)[1:])

    def counts(self, holdout: str) -> str:
        """Say how many pictures there are for what; nothing when they lie on another machine."""
        if self.train is None:
            return ""
        train, validation, calibration = Holdout.parse(holdout).counts(self.train)
        held = f"{validation} to validate on, {calibration} to calibrate on, " if holdout != "none" else ""
        return f"{train} to learn from, {held}{self.test} to test on"


def find(client: Client, data: Path | None, dataset: str | None, category: str | None) -> Found:
    """Find a category by its folder, or by name: below ADCTL_DATA here, else where workers have it."""
    if data is not None:
        if dataset or category:
            raise InvalidRequest("give either --data DIR or --dataset and --category, not both")
        return open_folder(client.settings, data)
    if not category:
        raise InvalidRequest("say which images: --data DIR, or --dataset NAME --category NAME")
    local = _local(client.settings, dataset, category)
    if local is not None:
        return open_folder(client.settings, local)
    return _held(client, dataset, category)


def open_folder(settings: Settings, folder: Path) -> Found:
    """Check a category's folder and fingerprint it; raise InvalidData naming what is wrong with it."""
    try:
        # A link is kept as it is written: its name is the category's.
        category = open_category(Path(os.path.abspath(folder.expanduser())))  # noqa: PTH100
        mark = fingerprint(category.path, settings.home / "cache" / "fingerprints.json")
    except DataError as error:
        raise InvalidData(str(error)) from error
    ref = DatasetRef(
        dataset=category.dataset, category=category.category, fingerprint=mark, path=str(category.path)
    )
    return Found(ref=ref, train=len(category.train), test=len(category.test), here=True)


def _local(settings: Settings, dataset: str | None, category: str) -> Path | None:
    root = settings.data_root
    if not root.is_dir():
        return None
    datasets = [dataset] if dataset else sorted(child.name for child in root.iterdir() if child.is_dir())
    fitting = [root / name / category for name in datasets if (root / name / category).is_dir()]
    if len(fitting) > 1:
        names = ", ".join(path.parent.name for path in fitting)
        raise InvalidRequest(f"several datasets have a category '{category}': {names}; add --dataset NAME")
    return fitting[0] if fitting else None


def _held(client: Client, dataset: str | None, category: str) -> Found:
    held = client.holdings()
    names = {holding.dataset for holding in held} | _folders(client.settings.data_root)
    if dataset and dataset not in names:
        raise UnknownName("dataset", dataset, names)
    of_dataset = [holding for holding in held if dataset in (None, holding.dataset)]
    fitting = [holding for holding in of_dataset if holding.category == category]
    if not fitting:
        known = {holding.category for holding in of_dataset}
        for name in [dataset] if dataset else names:
            known |= _folders(client.settings.data_root / name)
        raise UnknownName("category", category, known)
    if len({holding.dataset for holding in fitting}) > 1:
        several = ", ".join(sorted({holding.dataset for holding in fitting}))
        raise InvalidRequest(f"several datasets have a category '{category}': {several}; add --dataset NAME")
    return Found(ref=_one_content(fitting))


def _one_content(fitting: Sequence[Holding]) -> DatasetRef:
    first = fitting[0]
    if len({holding.fingerprint for holding in fitting}) > 1:
        nodes = ", ".join(sorted({holding.node for holding in fitting}))
        raise InvalidRequest(
            f"{first.dataset}/{first.category} differs between the nodes {nodes}; give the folder: --data DIR"
        )
    return DatasetRef(
        dataset=first.dataset, category=first.category, fingerprint=first.fingerprint, path=first.path
    )


def _folders(root: Path) -> set[str]:
    return {child.name for child in root.iterdir() if child.is_dir()} if root.is_dir() else set()
