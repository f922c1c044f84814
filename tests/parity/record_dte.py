"""Record what the published DTE code computes: python tests/parity/record_dte.py FOLDER_OF_ITS_CHECKOUT.

The folder holds github.com/vicliv/DTE at commit 2aef1733, whose imports (scipy, scikit-learn,
matplotlib) must be installed beside torch. None of its code is copied: only numbers are kept.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent / "detectors")]

import dte_parity_cases as cases  # noqa: E402


def taught(estimator: str) -> Any:
    from diffusion import dte

    kind = {
        "categorical": dte.DTECategorical,
        "gaussian": dte.DTEGaussian,
        "inverse_gamma": dte.DTEInverseGamma,
    }[estimator]
    made = kind(T=cases.LEVELS)
    made.device = torch.device("cpu")
    made.model = dte.MLP([cases.SIZE, *cases.HIDDEN], num_bins=made.num_bins)
    made.model.load_state_dict({f"layers.{key}": value for key, value in cases.weights(estimator).items()})
    made.model.eval()
    return made


def of_networks() -> Iterator[tuple[str, Tensor]]:
    drawn = torch.randn_like
    for estimator in cases.OUT:
        made = taught(estimator)
        yield f"{estimator}-scores", torch.from_numpy(made.predict_score(cases.judged().numpy()))
        torch.randn_like = lambda *_args, **_kwargs: cases.noise().clone()
        try:
            loss = made.compute_loss(cases.learnt_from()[:50], cases.steps())
        finally:
            torch.randn_like = drawn
        loss.backward()
        yield f"{estimator}-loss", loss.detach()[None]
        norms = [each.grad.norm() for each in made.model.parameters()]
        yield f"{estimator}-gradients", torch.stack(norms)


def of_neighbours() -> Iterator[tuple[str, Tensor]]:
    from diffusion.non_param_dte import DTENonParametric

    made = DTENonParametric(K=cases.NEIGHBOURS, T=cases.LEVELS_NP)
    made.fit(cases.learnt_from().numpy())
    yield "nonparametric-scores", torch.from_numpy(made.predict_score(cases.judged().numpy()))


def main() -> None:
    sys.path.insert(0, sys.argv[1])
    torch.set_num_threads(1)
    found = {name: value.numpy() for each in (of_networks, of_neighbours) for name, value in each()}
    np.savez_compressed(cases.RECORDING, **found)


if __name__ == "__main__":
    main()
