"""Turns what a person says about images into a dataset reference.

The only place of the platform that imports `ad_detectors`: modules of the standard library alone, so that
client and worker find the same pictures, compute the same fingerprint, and hold as many pictures out.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from ad_detectors.data.fingerprint import Content as Content
from ad_detectors.data.fingerprint import contents, fingerprint
from ad_detectors.data.fingerprint import fingerprint_of as fingerprint_of
from ad_detectors.data.layout import categories_in, open_category
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import DataError
from ad_platform.errors import InvalidData, InvalidRequest, UnknownName
from ad_platform.looking import Looking
from ad_platform.naming import match
from ad_platform.records import Holding
from ad_platform.settings import Settings
from ad_platform.specs import DatasetRef, Submission
from ad_platform.wishes import DataWish

NOTHING = DataWish()
STORAGE = "the storage"  # where pushed pictures lie, among the nodes where others do


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


def find(
    client: Looking,
    data: Path | None,
    dataset: str | None,
    category: str | None,
    like: DataWish = NOTHING,
) -> Found:
    """Find a category by its folder, or by name: below ADCTL_DATA here, else where workers have it.

    What is not said is as in `like`, the data of a job to clone or of a run file.
    """
    if data is not None:
        inner = data / category if category and not dataset else None
        if inner is not None and not _is_category(data) and inner.is_dir():
            return open_folder(client.settings, inner)
        if dataset or category:
            raise InvalidRequest("give either --data DIR or --dataset and --category, not both")
        return open_folder(client.settings, data)
    if dataset is None and category is None and like != NOTHING:
        return _again(client, like)
    if category and dataset is None and like.path:
        beside = Path(like.path).parent / category
        if beside.is_dir():
            return open_folder(client.settings, beside)
    return _named(client, dataset or like.dataset, category or like.category)


def _named(client: Looking, dataset: str | None, category: str | None) -> Found:
    if not category:
        raise InvalidRequest("say which images: --data DIR, or --dataset NAME --category NAME")
    local = _local(client.settings, dataset, category)
    if local is not None:
        return open_folder(client.settings, local)
    return _held(client, dataset, category)


def _again(client: Looking, like: DataWish) -> Found:
    """Find the data that a job or a run file names; raise InvalidData if it has changed since."""
    path = Path(like.path) if like.path else None
    if path is not None and (path.is_dir() or like.fingerprint is None):
        found = open_folder(client.settings, path)
    elif (ref := _whole(like)) is not None and not _is_local(client.settings, like):
        return Found(ref=ref)  # on another machine
    else:
        found = _named(client, like.dataset, like.category)
    if like.fingerprint in (None, found.ref.fingerprint):
        return found
    ref = _whole(like)
    if ref is not None:
        elsewhere = {each.node for each in _anywhere(client) if each.fingerprint == ref.fingerprint}
        if elsewhere - {client.settings.node}:
            return Found(ref=ref)
    raise InvalidData(
        f"the pictures in {found.ref.path} are not those asked for: their fingerprint is "
        f"{found.ref.fingerprint[:12]}, not {str(like.fingerprint)[:12]}; to take them as they are now: "
        f"--data {found.ref.path}"
    )


def _whole(like: DataWish) -> DatasetRef | None:
    """Return the reference that a wish is, if it says everything."""
    if not (like.dataset and like.category and like.fingerprint and like.path):
        return None
    return DatasetRef(
        dataset=like.dataset, category=like.category, fingerprint=like.fingerprint, path=like.path
    )


def _is_local(settings: Settings, like: DataWish) -> bool:
    return like.category is not None and _local(settings, like.dataset, like.category) is not None


def evaluable(plan: list[Submission], found: Found) -> tuple[list[Submission], str]:
    """Leave an evaluation out where there is nothing to evaluate on, and say what is missing, if anything."""
    if found.has_test or len(plan) == 1:
        return plan, ""
    held = found.held_out(plan[0].spec.holdout)
    then = f"only the {held} held out of training will be scored" if held else "nothing will be evaluated"
    return plan if held else plan[:1], f"{found.ref.path} has no test images, so {then}"


def inside(folder: Path) -> list[Path]:
    """Return the folders of the categories in that of a dataset, sorted; none in any other folder."""
    return categories_in(folder) if folder.is_dir() else []


def open_folder(settings: Settings, folder: Path) -> Found:
    """Check a category's folder and fingerprint it; raise InvalidData naming what is wrong with it."""
    # A link is kept as it is written: its name is the category's.
    whole = Path(os.path.abspath(folder.expanduser()))  # noqa: PTH100
    try:
        _check_place(whole)
        category = open_category(whole)
        mark = fingerprint(category.path, settings.home / "cache" / "fingerprints.json")
    except DataError as error:
        raise InvalidData(str(error)) from error
    ref = DatasetRef(
        dataset=category.dataset, category=category.category, fingerprint=mark, path=str(category.path)
    )
    return Found(ref=ref, train=len(category.train), test=len(category.test), here=True)


def contents_of(settings: Settings, folder: Path) -> list[Content]:
    """Return every picture and mask of a category with its SHA-256; raise InvalidData."""
    try:
        return contents(folder, settings.home / "cache" / "fingerprints.json")
    except DataError as error:
        raise InvalidData(str(error)) from error


def _check_place(folder: Path) -> None:
    """Raise InvalidData for a misspelt folder, and for a dataset where one of its categories is wanted."""
    if not folder.exists():
        near = _nearest(folder)
        if near:
            raise InvalidData(f"{folder} does not exist; did you mean {' or '.join(map(str, near))}?")
    elif folder.is_dir() and not _is_category(folder) and (inside := categories_in(folder)):
        names = ", ".join(each.name for each in inside[:20])
        more = f" and {len(inside) - 20} more" if len(inside) > 20 else ""
        raise InvalidData(
            f"{folder} is a dataset with the categories {names}{more}; choose one: --data {inside[0]}"
        )


def _nearest(folder: Path) -> list[Path]:
    """Return folders that a misspelt one may stand for: the first part that is not there is the wrong one."""
    above = next(parent for parent in folder.parents if parent.is_dir())
    wrong, *below = folder.relative_to(above).parts
    by_name = {name.lower(): name for name in sorted(_folders(above))}
    near = [above / by_name[name] for name in get_close_matches(wrong.lower(), by_name, n=3)]
    return [path.joinpath(*below) if path.joinpath(*below).is_dir() else path for path in near]


def _is_category(folder: Path) -> bool:
    return (folder / "train").is_dir() or (folder / "test").is_dir()


def _local(settings: Settings, dataset: str | None, category: str) -> Path | None:
    """Return the folder below ADCTL_DATA, its names in any case; None if there is none."""
    root = settings.data_root
    known = _folders(root)
    datasets = sorted(known) if dataset is None else _alike("dataset", dataset, known)
    fitting = [
        root / name / each
        for name in datasets
        for each in _alike("category", category, _folders(root / name))
    ]
    if len(fitting) > 1:
        names = ", ".join(path.parent.name for path in fitting)
        raise InvalidRequest(f"several datasets have a category '{category}': {names}; add --dataset NAME")
    return fitting[0] if fitting else None


def _alike(what: str, name: str, known: set[str]) -> list[str]:
    """Return the one known name that is meant, if there is one."""
    try:
        return [match(what, name, known)]
    except UnknownName:
        return []


def _held(client: Looking, dataset: str | None, category: str) -> Found:
    held = _anywhere(client)
    names = {holding.dataset for holding in held} | _folders(client.settings.data_root)
    if dataset:
        dataset = match("dataset", dataset, names)
    of_dataset = [holding for holding in held if dataset in (None, holding.dataset)]
    known = {holding.category for holding in of_dataset}
    for name in [dataset] if dataset else names:
        known |= _folders(client.settings.data_root / name)
    category = match("category", category, known)
    fitting = [holding for holding in of_dataset if holding.category == category]
    if not fitting:
        raise InvalidRequest(
            f"{dataset}/{category} lies below {client.settings.data_root}, but not where it can be read"
        )
    on_nodes = [holding for holding in fitting if holding.node != STORAGE]
    if len({holding.dataset for holding in fitting}) > 1:
        several = ", ".join(sorted({holding.dataset for holding in fitting}))
        raise InvalidRequest(f"several datasets have a category '{category}': {several}; add --dataset NAME")
    return Found(ref=_one_content(on_nodes or fitting[:1]))  # of what was pushed the newest


def _anywhere(client: Looking) -> list[Holding]:
    """Return what lies on nodes, and what was pushed and lies in the storage."""
    pushed = [
        Holding(
            node=STORAGE, fingerprint=one.fingerprint, dataset=one.dataset, category=one.category, path=""
        )
        for one in client.pushed()
        if one.dataset
    ]
    return [*client.holdings(), *pushed]


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
