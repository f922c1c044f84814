"""What detectors promise on a CUDA card, kept by every one; the promises themselves are tried on a CPU."""

from __future__ import annotations

import pytest
import torch

from ad_detectors import registry
from ad_detectors.testing import Subject
from ad_detectors.testing.cards import CardPromises
from gradual_mean import Config, GradualMean
from quick_detectors import QUICK

HERE = "(gradual mean)"  # shows without a card that the promises can be kept
ON_A_CARD = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]


@pytest.fixture(
    scope="module", params=[HERE, *(pytest.param(name, marks=ON_A_CARD) for name in registry.names())]
)
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param == HERE:
        return Subject(GradualMean, Config())
    return Subject.of(request.param, quick=QUICK.get(request.param))


@pytest.fixture
def card(subject: Subject) -> torch.device:
    return torch.device("cuda" if subject.name else "cpu")


class TestOnACard(CardPromises):
    """Every promise, for every detector."""
