"""Our measures are those of scikit-learn, torchmetrics, anomalib, adeval and the published DDAD code.

scikit-learn is asked here and now; of the others a recording of `record_metrics.py` is asked, and they
themselves where they are installed. Where they err, the definition is asked instead.
"""

from __future__ import annotations

import json
import math
import warnings
from importlib.util import find_spec
from typing import TypeAlias

import pytest

import metric_peers
from ad_detectors.metrics.pixels import pixel_measures
from ad_detectors.metrics.published import pro_compat
from ad_detectors.metrics.ranking import auroc, average_precision, f1_max
from metric_cases import RECORDING, Scene, scenes

Found: TypeAlias = dict[str, float | None]

SCENES = scenes()
SINGLE = 5e-6  # torchmetrics and anomalib add up in 32 bits
# Every normal pixel scores higher than every defective one: adeval interpolates between points of which there
# is but one. The area is 0.
KNOWN_WRONG = {("inverted", "adeval", "aupro_30")}


def ours(scene: Scene) -> Found:
    pixels = pixel_measures(scene.maps, scene.masks)
    return {
        "image_auroc": auroc(scene.scores, scene.labels),
        "image_ap": average_precision(scene.scores, scene.labels),
        "image_f1_max": f1_max(scene.scores, scene.labels),
        "pixel_auroc": pixels.auroc,
        "pixel_ap": pixels.ap,
        "pixel_f1_max": pixels.f1_max,
        "aupro_30": pixels.aupro[0.3],
        "aupro_05": pixels.aupro[0.05],
        "pro": pro_compat(scene.maps, scene.masks),
    }


def apart(scene: str, peer: str, theirs: Found, allowed: float) -> dict[str, object]:
    """Return what differs by more than allowed, ours first."""
    found = ours(SCENES[scene])
    return {
        f"{scene}: {name} by {peer}": (found[name], value)
        for name, value in theirs.items()
        if (scene, peer, name) not in KNOWN_WRONG and not _equal(found[name], value, allowed)
    }


def _equal(mine: float | None, theirs: float | None, allowed: float) -> bool:
    if mine is None:  # with one class they say 0, or not a number; we say that there is no measure
        return theirs is None or theirs == 0.0 or math.isnan(theirs)
    return theirs is not None and abs(mine - theirs) <= allowed


@pytest.fixture(scope="module")
def recorded() -> dict[str, dict[str, Found]]:
    found: dict[str, dict[str, Found]] = json.loads(RECORDING.read_text())["scenes"]
    return found


@pytest.mark.parametrize("scene", SCENES)
def test_ours_are_scikit_learns(scene: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns of one class
        theirs = metric_peers.scikit_learn(SCENES[scene])
    assert apart(scene, "scikit-learn", dict(theirs), 1e-12) == {}


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("peer", ["torchmetrics", "anomalib", "adeval"])
def test_ours_are_those_recorded(recorded: dict[str, dict[str, Found]], scene: str, peer: str) -> None:
    assert apart(scene, peer, recorded[scene][peer], 1e-9 if peer == "adeval" else SINGLE) == {}


@pytest.mark.parametrize("scene", SCENES)
def test_the_published_overlap_is_that_of_the_published_code(
    recorded: dict[str, dict[str, Found]], scene: str
) -> None:
    theirs = recorded[scene].get("DDAD", {"pro": None})["pro"]
    mine = pro_compat(SCENES[scene].maps, SCENES[scene].masks)
    if theirs is None:
        assert mine is None, "where the published code fails, there is no number"
    else:
        assert mine == pytest.approx(theirs, abs=1e-9)


@pytest.mark.parametrize("peer", ["torchmetrics", "anomalib", "adeval"])
def test_the_recording_is_what_they_say_where_they_are_installed(
    recorded: dict[str, dict[str, Found]], peer: str
) -> None:
    if find_spec(peer) is None:
        pytest.skip(f"{peer} is not installed; its recorded figures were compared")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, scene in SCENES.items():
            said = metric_peers.PEERS[peer](scene)
            then = {key: math.nan if value is None else value for key, value in recorded[name][peer].items()}
            assert said == pytest.approx(then, abs=1e-6, nan_ok=True), name


def test_every_scene_is_recorded_and_none_is_trivial(recorded: dict[str, dict[str, Found]]) -> None:
    assert set(recorded) == set(SCENES)
    assert sum("DDAD" in found for found in recorded.values()) >= 5
    seen = {round(found["adeval"]["pixel_auroc"] or 0.0, 3) for found in recorded.values()}
    assert len(seen) > 5
