"""Supervisors to try."""

from collections.abc import Callable, Mapping

import pytest

from supervised import Scene


@pytest.fixture
def play(tmp_path):
    scenes: list[Scene] = []

    def act(
        script: Mapping[int, Callable[[Scene], None]],
        prepare: Callable[[Scene], None] | None = None,
        time_left: float | None = None,
    ):
        scene = Scene(tmp_path, script, time_left)
        scenes.append(scene)
        if prepare:
            prepare(scene)
        return scene.run()

    yield act
    for scene in scenes:
        scene.far.close()
