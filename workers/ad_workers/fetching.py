"""The pictures of a job from the storage, where its node does not have them: fetched, proved, and kept."""

import time
from collections.abc import Callable
from pathlib import Path

from ad_platform.errors import InvalidData
from ad_platform.pictures.fetched import FetchedSets
from ad_platform.pictures.fetching import Fetcher
from ad_platform.pictures.sets import files_of
from ad_workers.desk import Desk
from ad_workers.messages import Report

FOLDER = "fetched"  # in a node's cache
TALK = 1.0  # seconds between two reports to the supervisor
NAP = 0.5  # seconds between two looks whether there is room


class _Reporter:
    """Passes on how far the fetching is: up to the supervisor, and orders to stop down."""

    def __init__(self, desk: Desk, step: int, of: int) -> None:
        self._desk, self._step, self._of = desk, step, of
        self._before, self._talk = -1, 0.0

    def told(self, here: int, of: int, lacking: int) -> None:
        """Report that so many bytes of all are here, if there are more of them; raises Stop."""
        self._desk.obey()
        now = time.monotonic()
        # Nothing is said where nothing came: a storage that hangs must look like one.
        if here > self._before and (now >= self._talk or not lacking):
            self._before, self._talk = here, now + TALK
            self._say(f"fetching images: {here / 1e6:.1f} of {of / 1e6:.1f} MB")

    def waiting(self, words: str) -> None:
        """Report what is waited for, and pass time; raises Stop."""
        self._desk.listen(NAP)
        self._desk.obey()
        if time.monotonic() >= self._talk:
            self._talk = time.monotonic() + TALK
            self._say(words)

    def _say(self, words: str) -> None:
        self._desk.say(Report(step=self._step, of=self._of, message=words))


def fetch(
    desk: Desk,
    at: tuple[int, int],
    proved: Callable[[Path], bool] = lambda folder: True,
    *,
    listing: bool = False,
) -> Path:
    """Return the folder with the files of the job's images, fetching what lacks; `proved` has the last word.

    They stay until this process ends. Raises InvalidData for what is missing or broken in the storage,
    DiskFull, StorageDown, and Stop when told to stop. `at` is the step the job has come to, and of how many.
    """
    data, job = desk.spec.dataset, desk.assignment
    files = files_of(desk.storage, data.fingerprint, listing=listing)
    if not files:
        raise InvalidData(
            f"the images of {data.dataset}/{data.category} ({data.fingerprint[:12]}) are no longer in the "
            f"storage; push them again where they lie: adctl data push {data.path or 'DIR'}"
        )
    sets = FetchedSets(Path(job.cache) / FOLDER, job.fetch_limit)
    sets.use(data.fingerprint)  # until this process ends
    reporter = _Reporter(desk, *at)
    fetcher = Fetcher(sets, desk.storage, reporter.told, reporter.waiting)
    for _ in range(2):
        desk.pictures = fetcher.fetch(data.fingerprint, files)
        if proved(desk.pictures):
            return desk.pictures
        for name in fetcher.mend(data.fingerprint, files):
            print(f"fetches again what is broken on this machine: {name}", flush=True)  # noqa: T201
    raise InvalidData(
        f"the images in {desk.pictures} are not those that were pushed, though each was fetched again; "
        "check the disk of this machine"
    )
