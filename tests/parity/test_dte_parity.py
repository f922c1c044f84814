"""DTE computes what its published code computes: against a recording of `record_dte.py`."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

import dte_parity_cases as cases
from ad_detectors.neighbours.several import mean_square
from ad_detectors.zoo.dte import estimating
from ad_detectors.zoo.dte.estimating import Estimate, TimeNet

PRECISION = 1e-5  # of the greatest of the values that are compared


@pytest.fixture(scope="module")
def recorded() -> dict[str, np.ndarray]:
    with np.load(cases.RECORDING) as file:
        return dict(file)


def assert_near(recorded: dict[str, np.ndarray], name: str, ours: Tensor) -> None:
    theirs, found = recorded[name], ours.detach().numpy()
    assert found.shape == theirs.shape, name
    apart = np.abs(found - theirs).max() / np.abs(theirs).max()
    assert apart <= PRECISION, f"{name} differs by {apart:.2g} of its greatest value"


def network(estimator: str) -> TimeNet:
    net = TimeNet(cases.SIZE, cases.HIDDEN, cases.OUT[estimator], dropout=0.5)
    net.load_state_dict(cases.named(cases.weights(estimator), "last"))
    return net.eval()


@pytest.mark.parametrize("estimator", list(cases.OUT))
def test_scores_of_a_network_are_as_published(recorded: dict[str, np.ndarray], estimator: str) -> None:
    estimate = Estimate(estimator, cases.SIZE, compat=True, net=network(estimator))
    with torch.no_grad():
        assert_near(recorded, f"{estimator}-scores", estimate(cases.judged()))


@pytest.mark.parametrize("estimator", list(cases.OUT))
def test_losses_and_their_gradients_are_as_published(recorded: dict[str, np.ndarray], estimator: str) -> None:
    net, t, vectors = network(estimator), cases.steps(), cases.learnt_from()[:50]
    variance = estimating.variances(cases.LEVELS)[t]
    said = net(estimating.noised(vectors, variance, cases.noise()))
    wanted = estimating.wanted_of(estimator, t, cases.LEVELS, cases.BINS, compat=True)
    loss = estimating.loss_of(estimator, said, wanted, variance, cases.SIZE, compat=True)
    loss.backward()
    assert_near(recorded, f"{estimator}-loss", loss[None])
    found = {name: each.grad.norm() for name, each in net.named_parameters() if each.grad is not None}
    order = [f"{layer}.{kind}" for layer in range(len(cases.HIDDEN) + 1) for kind in ("weight", "bias")]
    names = cases.named({name: torch.zeros(0) for name in order}, "last")
    assert_near(recorded, f"{estimator}-gradients", torch.stack([found[name] for name in names]))


def test_steps_by_neighbours_are_as_published(recorded: dict[str, np.ndarray]) -> None:
    square = mean_square(cases.judged(), cases.learnt_from(), cases.NEIGHBOURS)
    found = estimating.time_of_distance(square, cases.SIZE, cases.LEVELS_NP, compat=True)
    theirs = recorded["nonparametric-scores"]
    assert len(set(theirs.tolist())) > 20
    assert np.array_equal(found.numpy(), theirs)
