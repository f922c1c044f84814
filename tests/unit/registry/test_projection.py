"""The registry follows the store's decisions, whatever dies or overtakes."""

import contextlib
from pathlib import Path

import pytest

from ad_platform.records import Champion, Job
from ad_platform.registry.projection import project
from ad_platform.registry.promotion import promote
from job_stories import Stories


class Killed(BaseException):
    """The process ended here."""


class Registry:
    """A registry in memory that dies before or after its n-th call."""

    def __init__(self) -> None:
        self.versions: list[tuple[str, str, int]] = []
        self.aliases: dict[tuple[str, str], str] = {}
        self.die_at = 0.0
        self.calls = 0.0

    def version_of(self, champion: Champion) -> str | None:
        self._step()
        key = (champion.model, champion.alias, champion.revision)
        return str(self.versions.index(key) + 1) if key in self.versions else None

    def register(self, champion: Champion, job: Job, bundle: Path) -> str:
        self._step()
        assert (bundle / "state.safetensors").read_text() == "weights"
        assert job.id == champion.job_id
        self.versions.append((champion.model, champion.alias, champion.revision))
        self._step()
        return str(len(self.versions))

    def set_alias(self, champion: Champion, version: str) -> None:
        self._step()
        self.aliases[champion.model, champion.alias] = version
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


@pytest.mark.parametrize("at", range(1, 7))
def test_dying_between_any_two_steps_makes_no_second_version(stories: Stories, at: int) -> None:
    registry, champion = Registry(), decide(stories, 0.9)
    registry.die_at = at
    with contextlib.suppress(Killed):
        project(stories.store, stories.storage, registry)
    project(stories.store, stories.storage, registry)
    assert len(registry.versions) == 1
    assert registry.aliases == {(champion.model, "champion"): "1"}
    assert stories.store.champions.unpublished() == []


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
