"""The table of transitions is the only judge of where a job may go."""

import pytest

from ad_platform.errors import IllegalTransition
from ad_platform.states import ALLOWED, JobState
from ad_platform.store.transitions import permit


@pytest.mark.parametrize("old", JobState)
@pytest.mark.parametrize("new", JobState)
def test_a_job_goes_only_where_the_table_lets_it(old: JobState, new: JobState) -> None:
    if new in ALLOWED[old]:
        permit("j", old, new)
    else:
        with pytest.raises(IllegalTransition, match=f"job j is {old} and cannot become {new}"):
            permit("j", old, new)


def test_an_ended_job_has_no_way_out() -> None:
    ended = {state for state in JobState if state.terminal}
    assert ended == {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED}
