"""The images of a job on this node, proved to be the ones that were submitted."""

from pathlib import Path

from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.data.layout import Category, open_category
from ad_platform.errors import InvalidData
from ad_workers.desk import Desk


def open_images(desk: Desk) -> Category:
    """Return the job's category; raise InvalidData if its files are not those of the submit."""
    wanted, folder = desk.spec.dataset, Path(desk.assignment.data)
    category = open_category(folder)
    found = fingerprint(folder, Path(desk.assignment.fingerprints))
    if found != wanted.fingerprint:
        raise InvalidData(
            f"the images in {folder} changed since the job was submitted "
            f"(fingerprint {found[:12]}, not {wanted.fingerprint[:12]}); submit again to use them as they are"
        )
    return category
