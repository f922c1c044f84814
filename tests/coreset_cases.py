"""Embeddings whose coresets are known: `python tests/coreset_cases.py` records what anomalib picks."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

RECORDED = Path(__file__).with_name("parity") / "coreset.json"


@dataclass(frozen=True)
class Case:
    """One embedding and how many of its rows are picked."""

    name: str
    rows: int
    dimensions: int
    size: int
    levels: int = 0  # of whole numbers, for ties and duplicates; 0 for numbers that hardly ever tie


CASES = (
    Case("clusters", rows=4000, dimensions=64, size=800),
    Case("far from the origin", rows=2500, dimensions=152, size=250),
    Case("ties and duplicates", rows=3000, dimensions=6, size=200, levels=4),
)


def embedding(case: Case) -> Tensor:  # (rows, dimensions) float32
    """Return the embedding of a case, from raw bits and elementwise float32: the same everywhere."""
    raw = np.random.PCG64(len(case.name)).random_raw(case.rows * case.dimensions) >> np.uint64(40)
    places = raw.reshape(case.rows, case.dimensions)
    if case.levels:
        return torch.from_numpy((places % np.uint64(case.levels)).astype(np.float32))
    even = places.astype(np.float32) / np.float32(2**24)
    scale = np.float32(4.0) / (np.arange(case.dimensions, dtype=np.float32) + np.float32(1.0))
    cluster = np.floor(even[:, :1] * np.float32(12.0)) * np.roll(even[:1], 1)
    offset = np.float32(10.0 if case.name.startswith("far") else 0.0)
    return torch.from_numpy((even * scale + cluster + offset).astype(np.float32))


def recorded() -> dict[str, list[int]]:
    """Return anomalib's picks by the name of the case; the first of each is where it started."""
    picks: dict[str, list[int]] = json.loads(RECORDED.read_text())["picks"]
    return picks


def _record() -> None:
    sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
    from parts import peer_coreset  # type: ignore[import-not-found]

    found = {case.name: peer_coreset.picks(embedding(case), case.size, seed=7) for case in CASES}
    about = {
        "of": "anomalib 2.7.0, KCenterGreedy without its random projection",
        "torch": torch.__version__,
        "cases": [asdict(case) for case in CASES],
    }
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text(json.dumps({**about, "picks": found}) + "\n")


if __name__ == "__main__":
    _record()
