"""What decides a fitted model and its evaluation, as one hash: so that nothing known is computed again.

A worker writes the address of the model it has fitted into the job's result; a client computes the same
address from the catalogue before anything is fitted. Where both are equal the models are.
"""

import hashlib
import json
from collections.abc import Mapping

from ad_platform.catalogue import DetectorEntry
from ad_platform.specs import JobSpec, Json

MODEL = "model_address"  # in the result of a train job
RULES = "rules"  # in the result of an evaluation: the versions of the rules it was measured by
OF_MODEL = ("decoding", "splits", "source")  # versions that a fit hangs on
OF_EVALUATION = ("evaluation", "decoding", "splits")  # versions that its evaluation hangs on


def model_address(entry: DetectorEntry, spec: JobSpec) -> str:
    """Return the SHA-256, hex, of all that decides a fitted model.

    That is the detector, each stage's name, version and settings, the images and which of them are held out,
    the seed, the device and threads that were asked for, and the versions of the rules by which images are
    decoded and split. A detector that declares no stages has its source text among the versions.
    """
    stages: list[Json] = [
        [stage.name, stage.version, {name: plain(spec.config.get(name)) for name in sorted(stage.fields)}]
        for stage in entry.stages_of(spec.config)
    ]
    meaning: dict[str, Json] = {
        "detector": entry.name,
        "stages": stages,
        "config": {name: plain(value) for name, value in spec.config.items()} if not stages else None,
        "fingerprint": spec.dataset.fingerprint,
        "holdout": spec.holdout,
        "seed": spec.seed,
        "device": spec.device,
        "threads": spec.threads,
        "versions": {name: entry.versions.get(name) for name in OF_MODEL},
    }
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def rules_of(entry: DetectorEntry) -> Mapping[str, Json]:
    """Return the versions of the rules that an evaluation is measured by."""
    return {name: entry.versions.get(name) for name in OF_EVALUATION}


def plain(value: Json) -> Json:
    """Return a setting as the one way to write it: 1 and 1.0 for one setting are one value."""
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
