"""Make the file of a model, compare its scores with the model's, and only then put it in its place."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ad_detectors import checkpoint, cpus
from ad_detectors.config import to_json
from ad_detectors.exporting import onnx_file, openvino_file, parity
from ad_detectors.exporting.parity import Parity
from ad_detectors.exporting.placing import place
from ad_platform.client import Client
from ad_platform.code_version import package_version
from ad_platform.errors import CorruptBundle, InvalidRequest
from ad_platform.models import Model
from ad_platform.registry.case import weights_of
from ad_platform.specs import Json
from ad_platform.storage.bundle_cache import BundleCache
from ad_workers.exporting.request import Asked, Format, detector_of, files_of
from ad_workers.predicting import thresholds
from ad_workers.predicting.deciding import Threshold
from ad_workers.predicting.wording import in_our_words

LICENCE = (
    "Made with adctl (Apache-2.0). The weights were fitted to images, and may derive from a pretrained "
    "backbone: the licences of both apply to them as well."
)


@dataclass(frozen=True, kw_only=True)
class Exported:
    """What was written."""

    files: tuple[Path, ...]  # the one that is opened last
    bytes: int
    about: dict[str, str]  # as it stands in the file
    parity: Parity | None  # None: there were no pictures to compare scores on
    threshold: Threshold

    def to_json(self) -> dict[str, Json]:
        """Return it as plain JSON values."""
        about: dict[str, Json] = {name.removeprefix("adctl."): text for name, text in self.about.items()}
        compared: dict[str, Json] | None = {**self.parity.to_json()} if self.parity else None
        return {
            "files": [str(path) for path in self.files],
            "bytes": self.bytes,
            "about": about,
            "parity": compared,
        }


def make(client: Client, model: Model, asked: Asked, target: Path, pictures: Sequence[Path]) -> Exported:
    """Export a model; raise InvalidRequest without a threshold, CorruptBundle where scores differ."""
    cache = BundleCache(client.storage, client.settings.home / "cache" / "models")
    threshold = thresholds.choose(client, model, cache, rate=asked.rate, by_hand=asked.threshold)
    if threshold.point is None:
        raise InvalidRequest(f"{threshold.words}; set one by hand: --threshold T")
    folder = model.folder or cache.fetch(model.bundle, model.manifest_sha256)
    torch.set_num_threads(cpus.usable())
    value = threshold.point.threshold
    with in_our_words():
        detector = checkpoint.load_model(folder)
        about = _about(model, folder, threshold, {**to_json(detector.config)})
        if model.job is not None and (manifest := client.storage.manifest(model.bundle)) is not None:
            about["adctl.weights"] = weights_of(manifest)  # as the registry knows them
        # OpenVINO 2026.4 on a CPU gives wrong numbers behind an If.
        branching = asked.format is Format.ONNX
        whole = onnx_file.onnx_file(detector, value, about, branching=branching)
        if asked.format is Format.ONNX:
            contents: tuple[bytes, ...] = (whole,)
            run = onnx_file.runner(whole)
        else:
            xml, weights = openvino_file.openvino_files(whole, about)
            contents, run = (weights, xml), openvino_file.runner(xml, weights)
        found = parity.measured(detector, run, pictures, value) if pictures else None
        if found is not None and not found.kept:
            raise CorruptBundle(
                f"nothing was written: the file's scores differ by {max(found.score, found.map):.2g} of the "
                f"highest, more than {found.tolerance:g}; report this with the versions of torch and "
                f"{'onnxruntime' if branching else 'openvino'}"
            )
        files = files_of(asked.format, target)
        place(dict(zip(files, contents, strict=True)))
    return Exported(
        files=files, bytes=sum(map(len, contents)), about=about, parity=found, threshold=threshold
    )


def _about(model: Model, folder: Path, threshold: Threshold, config: dict[str, Json]) -> dict[str, str]:
    """Return what the file says of itself; nothing in it depends on when or where it was made."""
    point, champion, job = threshold.point, model.champion, model.job
    assert point is not None
    said = {
        "model": model.name,
        "alias": model.alias,
        "revision": champion.revision if champion else None,
        "registered_version": champion.published if champion else None,
        "job": job.id if job else None,
        "evaluation": model.operating_job.id if model.operating_job else None,
        "dataset": f"{job.spec.dataset.dataset}/{job.spec.dataset.category}" if job else None,
        "fingerprint": job.spec.dataset.fingerprint if job else None,
        "detector": detector_of(model),
        "config": json.dumps(config, sort_keys=True),
        "weights_sha256": hashlib.sha256((folder / checkpoint.TENSORS).read_bytes()).hexdigest(),
        "manifest_sha256": model.manifest_sha256,
        "threshold": repr(point.threshold),
        "threshold_source": threshold.source,
        "false_alarm_rate": repr(point.rate) if point.certified else None,
        "tolerance": repr(parity.TOLERANCE),
        "licence": LICENCE,
        "version": package_version(),
    }
    return {f"adctl.{name}": str(value) for name, value in said.items() if value is not None}
