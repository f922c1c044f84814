"""How much two evaluations of the same images differ, with the interval of that difference."""

from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ad_platform.errors import AdctlError
from ad_platform.results import result_of

if TYPE_CHECKING:
    from ad_detectors.metrics.bootstrap import Evidence
    from ad_platform.client import Client
    from ad_platform.records import Job

TEST = "test/"


@dataclass(frozen=True, kw_only=True)
class Paired:
    """B minus A: the difference of each measure and its 95 % interval, or why there is none."""

    differences: dict[str, tuple[float, float, float]] = field(default_factory=dict)  # itself, low, high
    trouble: str = ""


def paired(client: "Client", a: "Job", b: "Job") -> Paired:
    """Draw the images of two evaluations anew, the same for both; needs what they left in the storage."""
    if any(find_spec(name) is None for name in ("numpy", "scipy")):
        return Paired(trouble="the interval of the difference needs more: pip install 'adctl[worker]'")
    from ad_detectors.errors import DetectorError

    try:
        return _drawn(_evidence(client, b), _evidence(client, a))
    except (AdctlError, DetectorError, ValueError) as error:
        return Paired(trouble=f"the difference has no interval: {error}")


def _drawn(first: "Evidence", second: "Evidence") -> Paired:
    from ad_detectors.metrics.bootstrap import paired_difference

    trouble = ""
    try:
        found = paired_difference(first, second)
    except ValueError:
        # At another size a mask may have other regions; whole images can still be compared.
        found = paired_difference(replace(first, pixels=None), replace(second, pixels=None))
        trouble = (
            "pixel measures have no interval of their difference: the masks differ, as at other image sizes"
        )
    differences = {TEST + name: (each.point, each.low, each.high) for name, each in found.items()}
    return Paired(differences=differences, trouble=trouble)


def _evidence(client: "Client", job: "Job") -> "Evidence":
    from ad_detectors.metrics import evidence_file
    from ad_platform.errors import CorruptBundle

    if result_of(job).bundle is None:
        raise CorruptBundle(f"job {job.id} left no results; evaluate anew")
    return evidence_file.load(client.files(job))
