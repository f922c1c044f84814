"""The registry follows the store's decisions, whatever dies or overtakes."""

import contextlib
import json
from pathlib import Path

import pytest

from ad_platform.records import Champion, Job
from ad_platform.registry.projection import EVERY, Projection, project, reconcile
from ad_platform.registry.promotion import promote
from job_stories import Stories


class Killed(BaseException):
    """The process ended here."""


class Registry:
    """A registry in memory that dies before or after its n-th call."""

    def __init__(self) -> None:
        self.versions: list[tuple[str, str, int]] = []
        self.aliases: dict[tuple[str, str], str] = {}
        self.tidied: list[tuple[int, str]] = []  # revisions, each with its version
        self.die_at = 0.0
        self.calls = 0.0

    def version_of(self, champion: Champion) -> str | None:
        self._step()
        key = (champion.model, champion.alias, champion.revision)
        return str(self.versions.index(key) + 1) if key in self.versions else None

    def register(self, champion: Champion, job: Job, bundle: Path, run_id: str | None) -> str:
        self._step()
        assert (bundle / "state.safetensors").read_text() == "weights"
        assert job.id == champion.job_id
        self.versions.append((champion.model, champion.alias, champion.revision))
        self._step()
        return str(len(self.versions))

    def alias_of(self, champion: Champion) -> str | None:
        return self.aliases.get((champion.model, champion.alias))

    def set_alias(self, champion: Champion, version: str) -> None:
        self._step()
        self.aliases[champion.model, champion.alias] = version
        self._step()

    def tidy(self, champion: Champion, version: str) -> None:
        self._step()
        self.tidied.append((champion.revision, version))
        self._step()

    def _step(self) -> None:
        self.calls += 1
        if self.calls == self.die_at:
            raise Killed


def decide(stories: Stories, auroc: float) -> Champion:
    return promote(stories.store, stories.storage, stories.trained(auroc), "champion", "ann")


def test_a_decision_becomes_one_version_that_carries_the_alias(stories: Stories) -> None:
    registry, champion = Registry(), decide(stories, 0.9)
    assert project(stories.store, stories.storage, registry) == 1
    assert project(stories.store, stories.storage, registry) == 0
    assert registry.versions == [(champion.model, "champion", 1)]
    assert stories.store.champions.current(champion.model, "champion").published == "1"  # type: ignore[union-attr]


@pytest.mark.parametrize("at", range(1, 9))
def test_dying_between_any_two_steps_makes_no_second_version(stories: Stories, at: int) -> None:
    registry, champion = Registry(), decide(stories, 0.9)
    registry.die_at = at
    with contextlib.suppress(Killed):
        project(stories.store, stories.storage, registry)
    project(stories.store, stories.storage, registry)
    assert len(registry.versions) == 1
    assert registry.aliases == {(champion.model, "champion"): "1"}
    assert stories.store.champions.unpublished() == []


def test_what_the_dead_have_uploaded_is_looked_for_once_a_decision_and_once_a_process(
    stories: Stories,
) -> None:
    registry, now = Registry(), [0.0]
    decide(stories, 0.8)
    first = Projection(stories.store, stories.storage, registry, lambda: now[0])
    first()
    assert registry.tidied == [(1, "1"), (1, "1")]
    now[0] += EVERY
    first()
    assert len(registry.tidied) == 2
    Projection(stories.store, stories.storage, registry)()
    assert len(registry.tidied) == 3
    decide(stories, 0.9)
    first()
    assert registry.tidied[3:] == [(2, "2")]


def test_a_slow_projection_leaves_the_alias_with_the_newest_decision(stories: Stories) -> None:
    decide(stories, 0.8)

    class Slow(Registry):
        """Sets its first alias only after somebody else decided and projected anew."""

        def set_alias(self, champion: Champion, version: str) -> None:
            if champion.revision == 1:
                quick = Registry()
                quick.versions, quick.aliases = self.versions, self.aliases
                decide(stories, 0.9)
                project(stories.store, stories.storage, quick)
            super().set_alias(champion, version)

    registry = Slow()
    project(stories.store, stories.storage, registry)
    newest = registry.version_of(stories.store.champions.current("ddad-mvtec-bottle", "champion"))  # type: ignore[arg-type]
    assert registry.aliases["ddad-mvtec-bottle", "champion"] == newest == "2"


def test_a_projection_that_dies_before_it_looked_again_is_put_right(stories: Stories) -> None:
    """It set the alias for an older decision after the newer one was told; nothing is left unpublished."""
    registry, first = Registry(), decide(stories, 0.8)
    project(stories.store, stories.storage, registry)
    decide(stories, 0.9)
    project(stories.store, stories.storage, registry)
    registry.set_alias(first, "1")
    assert project(stories.store, stories.storage, registry) == 0
    assert reconcile(stories.store, stories.storage, registry) == 1
    assert registry.aliases == {(first.model, "champion"): "2"}
    assert reconcile(stories.store, stories.storage, registry) == 0


def test_a_registry_that_was_lost_is_made_anew(stories: Stories) -> None:
    champion = decide(stories, 0.9)
    project(stories.store, stories.storage, Registry())
    fresh = Registry()
    assert reconcile(stories.store, stories.storage, fresh) == 1
    assert fresh.versions == [(champion.model, "champion", 1)]
    assert fresh.aliases == {(champion.model, "champion"): "1"}


def test_what_was_told_before_is_looked_at_now_and_then(stories: Stories) -> None:
    registry, now = Registry(), [0.0]
    projection = Projection(stories.store, stories.storage, registry, lambda: now[0])
    champion = decide(stories, 0.9)
    assert projection() == 1
    registry.aliases[champion.model, "champion"] = "7"
    assert projection() == 0
    now[0] += EVERY
    assert projection() == 1
    assert registry.aliases == {(champion.model, "champion"): "1"}


def test_a_model_that_is_gone_keeps_no_other_from_being_shown(stories: Stories) -> None:
    lost = decide(stories, 0.9)
    stories.storage.remove(str(stories.store.jobs.get(lost.job_id).result["bundle"]))
    job = stories.trained(0.9, category="screw")
    whole = promote(stories.store, stories.storage, job, "champion", "ann")
    registry = Registry()
    assert project(stories.store, stories.storage, registry) == 1
    assert registry.aliases == {(whole.model, "champion"): "1"}


def test_a_version_carries_the_threshold_of_its_decision(stories: Stories) -> None:
    class Reading(Registry):
        def register(self, champion: Champion, job: Job, bundle: Path, run_id: str | None) -> str:
            point = json.loads((bundle / "operating_point.json").read_text())
            assert (point["threshold"], point["certified"], point["by"]) == (36.3, True, "calibration")
            return super().register(champion, job, bundle, run_id)

    decide(stories, 0.9)
    assert project(stories.store, stories.storage, Reading()) == 1
