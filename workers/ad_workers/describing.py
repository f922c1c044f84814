"""What a worker tells of its detectors: their catalogue, and the versions of what it fits and measures by."""

from collections.abc import Mapping

from ad_detectors import catalogue, stages
from ad_detectors.data import decoding, splits
from ad_detectors.metrics.version import VERSION
from ad_platform.benchmarks.addresses import model_address, rules_of
from ad_platform.catalogue import DetectorEntry
from ad_platform.specs import JobSpec, Json


def entries() -> dict[str, Json]:
    """Return the catalogue's entry of each detector that works here, with the versions."""
    return {name: {**entry, "versions": versions(name)} for name, entry in catalogue.build().items()}


def versions(name: str) -> dict[str, Json]:
    """Return the versions of the rules that a detector is fitted and measured by."""
    return {
        "decoding": decoding.VERSION,
        "splits": splits.VERSION,
        "evaluation": VERSION,
        "source": stages.source_of(name),
    }


def address_of(spec: JobSpec) -> str:
    """Return the address of the model that a spec leads to here."""
    return model_address(entry_of(spec.detector), spec)


def rules(name: str) -> Mapping[str, Json]:
    """Return the versions of the rules that an evaluation is measured by here."""
    return rules_of(entry_of(name))


def entry_of(name: str) -> DetectorEntry:
    """Return the entry of a detector, with the versions."""
    return DetectorEntry.from_json(name, {**catalogue.entry(name), "versions": versions(name)})
