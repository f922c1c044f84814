"""Whoever takes a sweep further may die at any call, and the next one finishes what it left half done."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from ad_platform.states import StudyState
from ad_platform.sweeps.advancing import Advancer
from ad_platform.sweeps.concluding import Conclusion
from sweepkit import SPACE, Field, sums


class Killed(BaseException):
    """What kills whoever advances."""


def killing(advancer: Advancer, at: str, times: int = 1) -> Advancer:
    """Return an advancer that dies at a call of a store's or Optuna's method, before it or just after."""
    when, _, name = at.partition(" ")

    def deadly(method: Callable[..., Any]) -> Callable[..., Any]:
        left = [times]

        def call(*given: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0 and when == "before":
                raise Killed
            result = method(*given, **named)
            if left[0] == 0:
                raise Killed
            return result

        return call

    class Proxy:
        def __init__(self, inner: Any) -> None:
            self._inner = inner

        def __getattr__(self, asked: str) -> Any:
            found = getattr(self._inner, asked)
            if asked in ("studies", "jobs"):
                return Proxy(found)
            if asked == name:
                kept = self.__dict__.setdefault("_deadly", {})
                return kept.setdefault(asked, deadly(found))
            return found

    def open_(study: Any, spec: Any) -> Any:
        return Proxy(advancer.open(study, spec))

    store = Proxy(advancer.store)
    return replace(advancer, store=store, open=open_, conclude=Conclusion(store))


DEADLY = [
    f"{when} {name}"
    for name in ("ask", "tell", "begin_trial", "end_trial", "summarise", "submit", "release")
    for when in ("before", "after")
]


@pytest.mark.parametrize("at", DEADLY)
def test_whoever_dies_anywhere_leaves_a_sweep_that_adds_up_in_the_end(ground: Field, at: str) -> None:
    study = ground.submit(*SPACE, trials=5, parallel=3)
    deaths = 0
    for turn in range(10):
        owner = f"mortal-{turn}"
        try:
            times = 1 if at.endswith("submit") else 1 + turn % 3  # the best is submitted once
            killing(ground.advancer(owner), at, times).advance(study.id)
        except Killed:
            deaths += 1
            ground.store.studies.release(study.id, owner)  # its claim would run out by itself
        ground.work(2)
    assert deaths > 0
    ended = ground.run(study)
    view = sums(ground, ended)
    assert ended.state is StudyState.FINISHED
    assert view.complete >= 5 - view.failed
    assert view.asked == 5
    assert view.running == 0
    assert "RUNNING" not in ground.in_optuna(study)


def test_a_lost_optuna_storage_is_made_again_from_the_store(ground: Field) -> None:
    study = ground.submit(*SPACE, trials=8, parallel=2)
    advancer = ground.advancer()
    for _ in range(3):
        advancer.advance(study.id)
        ground.work(2)
    for file in ground.bench.home.glob("optuna.db*"):
        file.unlink()
    assert sums(ground, ground.run(study)).complete == 8
