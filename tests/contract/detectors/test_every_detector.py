"""The detectors' contract, kept by every detector in the registry."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ad_detectors import registry
from ad_detectors.testing import DetectorContract, Subject
from gradual_mean import Config, GradualMean
from quick_detectors import QUICK


# Its own detector shows that the contract can be kept, and by stages; a new file in zoo/ comes by itself.
@pytest.fixture(scope="module", params=[*registry.names(), "(gradual mean)"])
def subject(request: pytest.FixtureRequest) -> Subject:
    if request.param[0] == "(":
        return Subject(GradualMean, Config())
    return Subject.of(request.param, quick=QUICK.get(request.param))


class TestEveryDetector(DetectorContract):
    """Every promise, for every detector."""


@pytest.mark.parametrize("name", registry.names())
def test_a_detector_is_described_without_torch(name: str) -> None:
    code = (
        "import sys; from ad_detectors import catalogue;"
        f"entry = catalogue.entry({name!r}); assert entry['summary'], 'no summary';"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("False", "")
