"""What a worker leaves to newer ones: what it does not know, and nothing else."""

from dataclasses import replace

import pytest

from ad_platform.records import Job
from ad_platform.specs import JobSpec
from ad_platform.states import JobState
from ad_workers.understanding import Understanding, is_newer
from store_cases import SPEC

KNOWN = replace(SPEC, detector="pixel_mean", config={})


def job(spec: JobSpec = KNOWN, version: str = "1.0.0", name: str = "a") -> Job:
    return Job(id=name * 16, seq=1, spec=spec, state=JobState.QUEUED, user="ann", code={"version": version})


def newer(**more: object) -> JobSpec:
    """Return a spec as it is read from what a newer program wrote."""
    return JobSpec.from_json({**KNOWN.to_json(), **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "beyond"),
    [
        (newer(), ()),
        (newer(news=None), ()),  # it is there, and says nothing
        (newer(news=0.5), ("news",)),
        (newer(dataset={**KNOWN.to_json()["dataset"], "lens": "b"}), ("dataset.lens",)),  # type: ignore[dict-item]
        (newer(pictures={"count": 3, "news": True}), ("pictures.news",)),
    ],
)
def test_a_spec_names_what_a_newer_program_has_given_a_meaning(
    spec: JobSpec, beyond: tuple[str, ...]
) -> None:
    assert spec.beyond == beyond
    assert "beyond" not in spec.to_json()
    understanding = Understanding("1.0.0")
    why = understanding(job(spec))
    assert bool(why) == bool(beyond)
    assert all(name in why for name in beyond)


def test_a_setting_that_is_not_known_is_left_to_newer_workers_only_if_a_newer_client_asked() -> None:
    strange = replace(KNOWN, config={"image_size": 32, "shine": 3})
    beyond_range = replace(KNOWN, config={"image_size": -5})
    understanding = Understanding("1.2.0")
    for spec, word in ((strange, "shine"), (beyond_range, "image_size")):
        assert word in understanding(job(spec, "1.10.0"))
        for version in ("1.2.0", "1.1.9", "unknown", ""):
            assert understanding(job(spec, version)) == "", version
    assert understanding(job(KNOWN, "9.0.0")) == ""


def test_what_was_left_is_told_with_a_beat_and_not_without_end() -> None:
    understanding = Understanding("1.0.0")
    assert understanding.to_json() == {}
    for number in range(6000):
        understanding(replace(job(newer(news=1)), id=f"{number:016}"))
    told = understanding.to_json()["left"]
    assert isinstance(told, dict)
    assert (len(told), len(understanding.left)) == (200, 5000)
    assert list(told)[-1] == f"{5999:016}"


@pytest.mark.parametrize(
    ("one", "other", "newer"),
    [
        *(("1.10.0", "1.9.9", True), ("1.9.9", "1.10.0", False), ("1.0", "1.0", False)),
        *(("2.0.0rc1", "1.9", True), ("unknown", "1.0", False), ("1.0", "unknown", False)),
    ],
)
def test_versions_are_compared_by_their_numbers(one: str, other: str, newer: bool) -> None:
    assert is_newer(one, other) is newer
