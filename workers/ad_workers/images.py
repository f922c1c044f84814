"""The images of a job on this node, proved to be the ones that were submitted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.layout import Category, open_category
from ad_detectors.errors import DataError
from ad_platform.errors import InvalidData
from ad_platform.roots import VARIABLE, Roots
from ad_workers.desk import Desk
from ad_workers.fetching import fetch

OUTSIDE = f"push the pictures to the storage, or name their folder in {VARIABLE} where this worker starts"


def open_images(desk: Desk, at: tuple[int, int] = (0, 0)) -> Category:
    """Return the job's category, from this node's folder or else from the storage, if it was pushed.

    Raises InvalidData if its files are not those of the submit; see `fetch` for what else. `at` is the step
    that the job has come to, and of how many.
    """
    if not desk.assignment.pushed:
        return _lying_here(desk)
    if desk.assignment.data and Path(desk.assignment.data).is_dir():
        try:
            return _lying_here(desk)
        except (InvalidData, DataError) as error:
            print(f"takes the images from the storage: {error}", flush=True)  # noqa: T201 - the attempt's log
    data, known = desk.spec.dataset, Path(desk.assignment.fingerprints)
    folder = fetch(desk, at, lambda folder: _mark(folder, known) == data.fingerprint)
    return replace(open_category(folder), dataset=data.dataset, category=data.category)


def _lying_here(desk: Desk) -> Category:
    wanted, folder = desk.spec.dataset, Path(desk.assignment.data)
    roots = Roots(desk.assignment.roots)
    roots.check([folder], OUTSIDE)  # before anything is said of what lies there
    category = open_category(folder)
    roots.check(_files(category), OUTSIDE)
    found = fingerprint(folder, Path(desk.assignment.fingerprints))
    if found != wanted.fingerprint:
        raise InvalidData(
            f"the images in {folder} changed since the job was submitted "
            f"(fingerprint {found[:12]}, not {wanted.fingerprint[:12]}); submit again to use them as they are"
        )
    return category


def _files(category: Category) -> Iterator[Path]:
    for sample in (*category.train, *category.test):
        yield sample.path
        if sample.mask is not None:
            yield sample.mask


def _mark(folder: Path, known: Path) -> str:
    try:
        return fingerprint(folder, known)
    except DataError:  # nothing is left of it
        return ""
