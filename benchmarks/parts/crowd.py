"""A store's past, made up by dice: sweeps, benchmarks and single jobs of several people over two years."""

import json
import random
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from ad_platform.benchmarks.benchmark_spec import BenchmarkSpec, Cell, Contender, Place, cell_keys
from ad_platform.specs import DatasetRef, JobSpec
from ad_platform.states import JobKind, StudyState, TrialOrigin, TrialState
from ad_platform.store.facets import owned, tags_of
from ad_platform.sweeps.dimensions import FLOAT, INT, Dimension
from ad_platform.sweeps.objectives import parse
from ad_platform.sweeps.study_spec import Method, StudySpec

Row = dict[str, Any]
DETECTORS = ("ddad", "anoddpm", "patchcore", "padim", "efficientad", "diffad", "dte", "pixel_mean")
MVTEC = (
    *("bottle", "cable", "capsule", "carpet", "grid", "hazelnut", "leather", "metal_nut", "pill", "screw"),
    *("tile", "toothbrush", "transistor", "wood", "zipper"),
)
VISA = ("candle", "capsules", "cashew", "chewinggum", "fryum", "macaroni1", "macaroni2", "pcb1", "pcb2")
USERS = tuple(f"user{number:02}" for number in range(20))
YEARS = 2 * 365 * 86400.0
TRIALS, SEEDS = 200, 5  # of a sweep, of a benchmark
SPLITS = ("test", "validation")
MEASURES = ("image_auroc", "image_ap", "image_f1_max", "pixel_auroc", "pixel_ap", "pixel_f1_max", "aupro_30")


@dataclass
class Crowd:
    """Makes rows of every table, chunk by chunk, as the store itself would have written them."""

    jobs: int
    live: int = 300  # of them that have not ended
    now: float = 1_800_000_000.0
    seed: int = 0
    seq: int = 0
    rows: dict[str, list[Row]] = field(default_factory=lambda: defaultdict(list))

    def __post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self._event = 0
        self._templates: dict[tuple[object, ...], tuple[str, str]] = {}
        self.data = [_ref("mvtec", name) for name in MVTEC] + [_ref("visa", name) for name in VISA]
        self.names: dict[str, list[str]] = {"group": [], "benchmark": []}

    def chunks(self, size: int = 20_000) -> Iterator[dict[str, list[Row]]]:
        """Yield rows by table; each chunk once, to be written in the order given."""
        while self.seq < self.jobs:
            share = self.dice.random()
            # Of a hundred jobs about fifty are of sweeps, five of benchmarks, the others asked for singly.
            if share < 0.0098 and self.jobs - self.seq > TRIALS:
                self._sweep()
            elif share < 0.01006 and self.jobs - self.seq > 1000:
                self._benchmark()
            else:
                self._single()
            if len(self.rows["jobs"]) >= size:
                yield self._taken()
        yield self._taken()

    def _taken(self) -> dict[str, list[Row]]:
        rows, self.rows = self.rows, defaultdict(list)
        return rows

    def _single(self) -> None:
        dice = self.dice
        detector, data = dice.choice(DETECTORS), dice.choice(self.data)
        words = {
            "user": dice.choice(USERS),
            "name": dice.choice(("", "", f"night {dice.randrange(900)}", f"try-{dice.randrange(10**6)}")),
            "tags": {} if dice.random() < 0.6 else {"purpose": dice.choice(("ablation", "demo", "paper"))},
            "group": None if dice.random() < 0.7 else f"set-{self.seq // 500}",
            "queue": "default" if dice.random() < 0.98 else "big",
        }
        seed = dice.randrange(10)
        train = self._job(JobKind.TRAIN, detector, data, seed, **words)
        if dice.random() < 0.9 and self.seq < self.jobs:
            self._job(JobKind.EVALUATE, detector, data, seed, need=train, **words)
        if dice.random() < 0.05 and self.seq < self.jobs:
            self._job(JobKind.PREDICT, detector, data, seed, source=str(train["id"]), **words)

    def _sweep(self) -> None:
        dice = self.dice
        detector, data, user = dice.choice(DETECTORS), dice.choice(self.data), dice.choice(USERS)
        study = f"{dice.getrandbits(64):016x}"
        name = f"{detector}-{data.category}-{study[:6]}"
        spec = StudySpec(
            job=JobSpec(kind=JobKind.TRIAL, detector=detector, dataset=data, config=CONFIG, holdout="10/10"),
            space=(
                Dimension(name="noise_step", kind=INT, low=50, high=500),
                Dimension(name="w", kind=FLOAT, low=0.0, high=12.0),
            ),
            objectives=(parse("validation/image_auroc"),),
            sampler=Method(name="tpe"),
            pruner=Method(name="median"),
        )
        began = self._moment()
        values = [round(dice.uniform(0.6, 0.99), 6) for _ in range(TRIALS)]
        best = max(range(TRIALS), key=values.__getitem__)
        self.rows["studies"].append(
            {
                "id": study, "name": name, "state": StudyState.FINISHED.value,
                "spec": _json(spec.to_json()), "user": user, "wanted": TRIALS, "parallel": 4,
                "created_at": began, "finished_at": began + 1.0, "owner": None, "owned_until": 0.0,
                "summary": _json({"best": {"number": best, "value": values[best]}, "ties": 1}),
                "version": 1, "shipped_version": 1, "run_id": None,
            }
        )  # fmt: skip
        words = {"user": user, "group": name, "queue": "default"}
        for number, value in enumerate(values):
            tags = {"sweep": name, "trial": str(number)}
            key = f"sweep/{study}/{number}/0"
            self._job(JobKind.TRIAL, detector, data, 0, key=key, name=f"{name} #{number}", tags=tags, **words)
            self.rows["trials"].append(
                {
                    "study_id": study, "number": number, "state": TrialState.COMPLETE.value,
                    "origin": TrialOrigin.ASKED.value,
                    "params": _json({"noise_step": 50 + number, "w": value}),
                    "values": _json([value]), "error": "", "retry_of": None, "again_at": None,
                    "asked_at": began, "ended_at": began + 1.0,
                }
            )  # fmt: skip
        self.names["group"].append(name)

    def _benchmark(self) -> None:
        dice = self.dice
        models = tuple(
            Contender(label=one, detector=one, preset="small") for one in dice.sample(DETECTORS, 5)
        )
        places = tuple(Place(label=one.category, data=one) for one in self.data[: len(MVTEC)])
        cells = tuple(
            Cell(model=one.label, category=place.label, seed=seed, address=f"{dice.getrandbits(256):064x}")
            for one, place, seed in product(models, places, range(SEEDS))
        )
        spec = BenchmarkSpec(models=models, categories=places, seeds=tuple(range(SEEDS)), cells=cells)
        name, user, began = f"mvtec-{self.seq}", dice.choice(USERS), self._moment()
        data = {place.label: place.data for place in places}
        for cell in cells:
            words = {
                "user": user, "group": name, "queue": "default", "tags": {"benchmark": name},
                "name": f"{cell.model} {cell.category} seed {cell.seed}",
            }  # fmt: skip
            keys = cell_keys(name, cell)
            ref = data[cell.category]
            train = self._job(
                JobKind.TRAIN, cell.model, ref, cell.seed, key=keys[0], ends="succeeded", **words
            )
            self._job(
                JobKind.EVALUATE,
                cell.model,
                ref,
                cell.seed,
                key=keys[1],
                need=train,
                ends="succeeded",
                **words,
            )
        sums = {
            "state": "complete",
            "cells": len(cells),
            "done": len(cells),
            "known": 0,
            "failed": 0,
            "open": 0,
        }
        self.rows["benchmarks"].append(
            {
                "id": f"{dice.getrandbits(64):016x}", "name": name, "key": None,
                "spec": _json(spec.to_json()), "user": user,
                "created_at": began, "finished_at": self._moment(), "seen_seq": self.seq,
                "owner": None, "owned_until": 0.0, "summary": _json({"sums": sums}),
                "version": 1, "shipped_version": 1, "run_id": None,
            }
        )  # fmt: skip
        self.names["benchmark"].append(name)

    def _job(
        self,
        kind: JobKind,
        detector: str,
        data: DatasetRef,
        seed: int,
        *,
        user: str,
        queue: str,
        group: str | None,
        tags: dict[str, str] | None = None,
        name: str = "",
        key: str | None = None,
        need: Row | None = None,
        source: str | None = None,
        ends: str = "",
    ) -> Row:
        self.seq += 1
        at, dice = self._moment(), self.dice
        state = ends or _STATES[dice.randrange(len(_STATES))]
        if not ends and self.jobs - self.seq < self.live:
            state = "queued"
        source = source or (None if need is None else str(need["id"]))
        if need is not None and need["state"] == "queued":
            state = "waiting"
        worker = None if state in ("queued", "waiting") else f"node{dice.randrange(8)}-{dice.randrange(4)}"
        ended = None if worker is None else at + dice.uniform(20.0, 900.0)
        job_id = f"{dice.getrandbits(64):016x}"
        result, metrics = self._result(kind, job_id) if state == "succeeded" else ("{}", {})
        failed = state == "failed"
        job = {
            "seq": self.seq, "id": job_id, "key": key, "kind": kind.value, "detector": detector,
            "fingerprint": data.fingerprint, "spec": self._spec(kind, detector, data, seed, source),
            "state": state, "user": user, "name": name, "tags": _json(tags or {}), "group": group,
            "queue": queue, "priority": 0, "gpus": 0, "memory_mb": 0, "max_attempts": 3,
            "cpu_only": False, "cards": 0, "preemptible": False, "memory_from": "",
            "batch_divisor": 1, "stall_after": 600.0,
            "not_before": 0.0, "retry_of": None, "code": CODE, "attempt": 0 if worker is None else 1,
            "failures": int(failed), "worker": worker, "lease_until": None, "cancel_requested": False,
            "progress": _PROGRESS, "failure": "code" if failed else None,
            "error": "ValueError: it was not to be" if failed else "", "result": result, "created_at": at,
            "started_at": None if worker is None else at + 5.0, "finished_at": ended, "rung_at": at,
            "prune_requested": False,
        }  # fmt: skip
        self.rows["jobs"].append(job)
        self._beside(job, need)
        self._found_by(job, data, tags or {}, metrics)
        return job

    def _found_by(self, job: Row, data: DatasetRef, tags: dict[str, str], metrics: dict[str, float]) -> None:
        """Write down what a job is found by; the names of this past are in lower case already."""
        seq = job["seq"]
        self.rows["facets"].append(
            {
                "seq": seq, "kind": job["kind"], "owned": owned(job["key"], tags),
                "detector": job["detector"], "dataset": data.dataset, "category": data.category,
                "user": job["user"], "name": job["name"],
                "group": job["group"], "queue": job["queue"], "created_at": job["created_at"], "place": seq,
            }
        )  # fmt: skip
        self.rows["tags"] += tags_of(seq, tags)
        self.rows["measures"] += [
            {"name": name, "kind": job["kind"], "seq": seq, "value": value} for name, value in metrics.items()
        ]

    def _beside(self, job: Row, need: Row | None) -> None:
        """Write what hangs on a job: an attempt, events, an edge, a shipment, or the ring it waits for."""
        rows, job_id, at = self.rows, job["id"], job["created_at"]
        told = [("submitted", 0, {"user": job["user"], "state": "queued"})]
        if job["attempt"]:
            rows["attempts"].append(
                {
                    "job_id": job_id, "number": 1, "worker": job["worker"], "outcome": job["state"],
                    "started_at": at + 5.0, "ended_at": job["finished_at"], "failure": job["failure"],
                    "error": job["error"], "facts": _FACTS,
                }
            )  # fmt: skip
            told += [("leased", 1, {"worker": job["worker"], "seconds": 30.0, "state": "running"})]
            told += [(job["state"], 1, {"state": job["state"]})]
        for kind, attempt, data in told:
            self._event += 1
            rows["events"].append(
                {
                    "seq": self._event, "job_id": job_id, "attempt": attempt, "at": at, "kind": kind,
                    "data": _json(data),
                }
            )  # fmt: skip
        if need is not None:
            rows["edges"].append({"job_id": job_id, "need_id": need["id"], "position": 0})
        rows["shipments"].append(
            {
                "job_id": job_id, "version": 3, "done_version": 3, "owner": None, "claimed_until": 0.0,
                "run_id": f"{job_id}{job_id}", "shipped_step": 2000,
            }
        )  # fmt: skip

    def _moment(self) -> float:
        return self.now - YEARS + YEARS * self.seq / self.jobs

    def _spec(self, kind: JobKind, detector: str, data: DatasetRef, seed: int, source: str | None) -> str:
        """Return a spec as JSON; only what differs is put in anew, since a million times to_json is slow."""
        place = (kind, detector, data)
        if place not in self._templates:
            measures = ("validation/image_auroc",) if kind is JobKind.TRIAL else ()
            spec = JobSpec(
                kind=kind, detector=detector, dataset=data, config=CONFIG, preset="small", seed=987_654,
                source="SOURCE", holdout="10/10", measures=measures,
            )  # fmt: skip
            self._templates[place] = (_json(spec.to_json()), "")
        text = self._templates[place][0].replace("987654", str(seed))
        return text.replace('"SOURCE"', "null" if source is None else f'"{source}"')

    def _result(self, kind: JobKind, job_id: str) -> tuple[str, dict[str, float]]:
        dice = self.dice
        metrics: dict[str, float] = {}
        more: Row = {"bundle": f"jobs/{job_id}/result/1", "manifest_sha256": f"{dice.getrandbits(256):064x}"}
        if kind is JobKind.EVALUATE:
            base = dice.uniform(0.6, 0.99)
            metrics = {
                f"{one}/{name}": round(base - n / 97, 6) for one in SPLITS for n, name in enumerate(MEASURES)
            }
            more["intervals"] = {f"test/{name}": [base - 0.03, base + 0.01] for name in MEASURES[:4]}
            more |= {"ms_per_image": 12.5, "images": 160, "peak_memory_mb": 812.0}
        elif kind is JobKind.TRAIN:
            metrics = {"train/loss": round(dice.expovariate(20.0), 6)}
            more |= {"steps": 2000, "images": 320, "model": f"{dice.getrandbits(256):064x}"}
        elif kind is JobKind.TRIAL:
            metrics = {"validation/image_auroc": round(dice.uniform(0.6, 0.99), 6), "latency_ms": 12.0}
        return _json({"metrics": metrics, **more}), metrics


def _ref(dataset: str, category: str) -> DatasetRef:
    mark = random.Random(f"{dataset}/{category}").getrandbits(256)
    return DatasetRef(
        dataset=dataset, category=category, fingerprint=f"{mark:064x}", path=f"/data/{dataset}/{category}"
    )


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


CONFIG: dict[str, Any] = {
    "image_size": 256, "steps": 2000, "epochs": None, "batch_size": 16, "learning_rate": 0.0003,
    "weight_decay": 0.05, "channels": 64, "heads": 4, "attention": [32, 16, 8], "ema": 0.9999,
    "noise_step": 250, "skip": 25, "w": 3.0, "v": 1.0, "sigma": 4, "beta_start": 0.0001, "beta_end": 0.02,
    "trajectory": 1000, "backbone": "wide_resnet101_2", "adapt_epochs": 3, "adapt_rate": 0.00001,
    "layers": ["layer1", "layer2", "layer3"], "precision": "float32", "compat": False, "dropout": 0.0,
}  # fmt: skip
CODE = _json({"version": "0.9.0", "commit": "f" * 40, "diff": ""})
_PROGRESS = _json(
    {"step": 2000, "of": 2000, "metrics": {"train/loss": 0.0213}, "message": "", "images": 32000}
)
_FACTS = _json({"host": "node1", "device": "cuda:0", "threads": 4, "resumed_step": 0, "gpu": "NVIDIA A100"})
_STATES: Sequence[str] = ("succeeded",) * 93 + ("failed",) * 4 + ("cancelled",) * 3
