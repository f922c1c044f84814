"""A benchmark that really runs on a few pictures: two models, three categories, and one cell that fails."""

import shutil
from dataclasses import dataclass
from pathlib import Path

from ad_platform.benchmarks.asking import BenchmarkRequest
from ad_platform.benchmarks.steering import Benchmarks
from ad_platform.records import Benchmark, Job
from ad_platform.specs import DatasetRef
from ad_platform.states import JobKind
from ad_workers.benchmarking.following import Follower
from clientkit import Bench
from desks import Desks, make_category, spec_of
from reported import Reported

NAMES = ("bottle", "carpet", "screw")
HARD = ("carpet", "screw")


@dataclass(frozen=True)
class Ran:
    """The benchmark, and where it ran."""

    bench: Bench
    benchmark: Benchmark

    @property
    def jobs(self) -> list[Job]:
        return self.bench.store.jobs.search(group=self.benchmark.name)


def run(made: Bench, desks: Desks, images: Path) -> Benchmark:
    """Submit it, do its jobs but for one that fails, and put the results together."""
    places = []
    for number, name in enumerate(NAMES):
        category = make_category(images / name, test=True, side=32, normal=40 + number)
        if name in HARD:  # a defect that nobody could see
            shutil.copy(category / "train" / "good" / "0.png", category / "test" / "cut" / "0.png")
        mark = spec_of(JobKind.TRAIN, category, "pixel_mean").dataset.fingerprint
        places.append(DatasetRef(dataset="mvtec", category=name, fingerprint=mark, path=str(category)))
        made.client.hold(places[-1])
    benchmarks = Benchmarks(made.client)
    request = BenchmarkRequest(models=("pixel_mean", "gradual"), categories=tuple(places), seeds=1)
    benchmark = benchmarks.submit(benchmarks.plan(request))

    def fails(job: Job) -> bool:
        spec = job.spec
        return spec.detector == "gradual" and spec.dataset.category == "screw" and job.kind is JobKind.TRAIN

    Reported(made.store, desks).work(fails)
    follower = Follower(made.store, made.client.storage, "me")
    for _ in range(10):
        follower._next.clear()
        follower.follow(made.store.benchmarks.get(benchmark.id))
    return made.store.benchmarks.get(benchmark.id)
