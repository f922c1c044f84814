"""Which trials share a training: all with the same settings of every stage but the last."""

import hashlib
import json

from ad_platform.benchmarks.addresses import plain
from ad_platform.catalogue import DetectorEntry
from ad_platform.specs import JobSpec, Json


def training_key(entry: DetectorEntry, spec: JobSpec) -> str | None:
    """Return the submit key of the training that a job needs; None where a fit is a single stage.

    Jobs with the same key are fitted alike up to their last stage: it holds the detector, the images and who
    of them is held out, the seed, the device, the threads, and of every stage but the last the name, the
    version and each setting. What is nobody's business but the job's (where the images lie, how often it is
    checkpointed, what it measures) is left out.
    """
    training = entry.stages_of(spec.config)[:-1]
    if not training:
        return None
    stages: list[Json] = [
        [stage.name, stage.version, {name: plain(spec.config.get(name)) for name in stage.fields}]
        for stage in training
    ]
    meaning: dict[str, Json] = {
        "detector": entry.name,
        "fingerprint": spec.dataset.fingerprint,
        "holdout": spec.holdout,
        "seed": spec.seed,
        "device": spec.device,
        "threads": spec.threads,
        "stages": stages,
    }
    text = json.dumps(meaning, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return f"stage/{hashlib.sha256(text.encode()).hexdigest()}"
