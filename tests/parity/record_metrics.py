"""Record what other packages compute: python tests/parity/record_metrics.py FOLDER_OF_DDADS_CHECKOUT.

Needed beside this project: torchmetrics, anomalib, adeval and pandas. The folder holds
github.com/arimousa/DDAD at commit 4323a150. None of their code is copied: only numbers are kept.
"""

from __future__ import annotations

import json
import math
import sys
import warnings
from importlib.metadata import version
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import metric_cases as cases  # noqa: E402
import metric_peers as peers  # noqa: E402


def main(folder: Path) -> None:
    warnings.simplefilter("ignore")
    recorded: dict[str, dict[str, dict[str, float | None]]] = {}
    for name, scene in cases.scenes().items():
        said = {peer: call(scene) for peer, call in peers.PEERS.items() if peer != "scikit-learn"}
        try:
            said["DDAD"] = {"pro": peers.published_pro(folder, scene)}
        except (ValueError, ZeroDivisionError) as error:  # as its procedure does without two points
            print(f"{name}: the published procedure fails: {error}")
        recorded[name] = {
            peer: {key: value if math.isfinite(value) else None for key, value in found.items()}
            for peer, found in said.items()
        }
    versions = {peer: version(peer) for peer in peers.PEERS if peer != "scikit-learn"}
    cases.RECORDING.write_text(json.dumps({"versions": versions, "scenes": recorded}, indent=1) + "\n")
    print(f"{cases.RECORDING}: {len(recorded)} scenes by {versions}")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
