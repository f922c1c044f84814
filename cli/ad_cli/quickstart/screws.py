"""The pictures of the tour: a small category of synthetic screws, drawn once into ADCTL_HOME."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from ad_platform import datasets
from ad_platform.errors import DiskFull, InvalidData, MissingExtra
from ad_platform.settings import Settings

# As few as say something: 128 to learn from, 16 to choose by, 16 to set a threshold by, and 66 to test on.
TRAIN, TEST_GOOD, PER_DEFECT, SIZE = 160, 24, 6, 256
HOLDOUT = "10/10"
# The first of each, whatever becomes of them.
SHOWN = ("test/good/000.png", "test/broken_tip/000.png", "test/rust/000.png")


@dataclass(frozen=True, kw_only=True)
class Screws:
    """The category, and the pictures to be looked at in the end."""

    found: datasets.Found
    fresh: bool  # drawn by this call

    @property
    def folder(self) -> Path:
        """Return the category's folder."""
        return Path(self.found.ref.path)

    @property
    def shown(self) -> tuple[Path, ...]:
        """Return the pictures that are predicted in the end."""
        return tuple(self.folder / name for name in SHOWN)


def folder_of(settings: Settings) -> Path:
    """Return where the screws lie: always in ADCTL_HOME, since ADCTL_DATA may be somebody else's."""
    return settings.home / "data" / "quickstart" / "screw"


def draw(settings: Settings, told: Callable[[int, int], None]) -> Screws:
    """Draw the screws unless they are there; the caller sees to it that nobody else does at the same time."""
    if not (find_spec("PIL") and find_spec("numpy")):
        raise MissingExtra("drawing pictures", "worker")
    from ad_detectors.data.synth import make
    from ad_detectors.errors import DataError, NoRoom

    folder, drawn = folder_of(settings), []

    def count(done: int, of: int) -> None:
        drawn.append(done)
        told(done, of)

    _clear_scraps(folder)
    try:
        # In a fixture: screws at any angle take more pictures to learn than a tour has minutes for.
        make(
            folder,
            train=TRAIN,
            test_good=TEST_GOOD,
            per_defect=PER_DEFECT,
            size=SIZE,
            fixture=True,
            told=count,
        )
    except NoRoom as error:
        raise DiskFull(str(error)) from error
    except DataError as error:
        raise InvalidData(str(error)) from error
    return Screws(found=datasets.open_folder(settings, folder), fresh=bool(drawn))


def _clear_scraps(folder: Path) -> None:
    """Remove what a call left half drawn that was killed."""
    for scrap in folder.parent.glob(f".{folder.name}-*"):
        shutil.rmtree(scrap, ignore_errors=True)
