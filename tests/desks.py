"""Desks at which a kind of job can be run in this process, and pictures to run it on."""

import socket
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image

from ad_detectors.data.fingerprint import fingerprint
from ad_detectors.testing import pictures, with_defect
from ad_platform.specs import DatasetRef, JobSpec, Json
from ad_platform.states import JobKind
from ad_platform.storage.bundles import BundleStorage
from ad_platform.storage.contract import Storage
from ad_platform.storage.folder import FolderBlobs
from ad_workers.boottime import boottime
from ad_workers.desk import Desk
from ad_workers.link import Link
from ad_workers.messages import Assignment

SIDE = 16


def make_category(folder: Path, test: bool, side: int = SIDE, normal: int = 20) -> Path:
    """Write normal pictures, and where wanted a test split with two kinds of defects, one of them drawn."""
    split = {"train/good": pictures(normal, side)}
    if test:
        spoilt = with_defect(pictures(4, side, seed=5))
        split |= {"test/good": pictures(3, side, seed=4), "test/cut": spoilt[:2], "test/hole": spoilt[2:]}
        (folder / "ground_truth" / "cut").mkdir(parents=True)
        changed = (spoilt[0] != pictures(4, side, seed=5)[0]).any(0)
        for index in range(2):
            Image.fromarray(changed.numpy()).save(folder / "ground_truth" / "cut" / f"{index}_mask.png")
    for place, images in split.items():
        (folder / place).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / place / f"{index}.png")
    return folder


def spec_of(kind: JobKind, category: Path, detector: str, **more: object) -> JobSpec:
    """Return the spec of a job on the CPU for these pictures."""
    data = DatasetRef(dataset="d", category="c", fingerprint=fingerprint(category), path=str(category))
    return JobSpec(kind=kind, detector=detector, dataset=data, device="cpu", **more)  # type: ignore[arg-type]


@dataclass
class Desks:
    """Opens desks over one storage; each has a supervisor's end to talk to."""

    folder: Path
    job: str = "e"
    links: list[Link] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._threads = torch.get_num_threads()  # an attempt sets its own
        self.storage: Storage = BundleStorage(FolderBlobs(self.folder / "storage"))

    def open(
        self,
        spec: JobSpec,
        source: str | None = None,
        attempt: int = 1,
        storage: Storage | None = None,
        batch_divisor: int = 1,
    ) -> tuple[Desk, Link]:
        """Return a desk for an attempt, and the supervisor's end of its line."""
        scratch = self.folder / f"scratch-{self.job}-{len(self.links)}"
        scratch.mkdir(parents=True)
        assignment = Assignment(
            job_id=self.job,
            attempt=attempt,
            kind=spec.kind.value,
            spec=spec.to_json(),
            data=spec.dataset.path,
            storage_url="",
            scratch=str(scratch),
            cache=str(self.folder / "cache"),
            fingerprints=str(self.folder / "fingerprints.json"),
            weights=None,
            lineage=(self.job,),
            source=source,
            threads=1,
            devices=(),
            deadline=boottime() + 600,
            batch_divisor=batch_divisor,
        )
        ours, theirs = socket.socketpair()
        self.links += [Link(ours), Link(theirs)]
        return Desk(assignment, spec, self.links[-2], storage or self.storage), self.links[-1]

    def read(self, bundle: Json, name: str) -> str:
        """Return the text of a file of a published bundle."""
        place = self.folder / f"read-{len(list(self.folder.glob('read-*')))}"
        self.storage.fetch(str(bundle), place)
        return (place / name).read_text()

    def close(self) -> None:
        """Close all lines and give the process its threads back."""
        torch.set_num_threads(self._threads)
        for link in self.links:
            link.close()
