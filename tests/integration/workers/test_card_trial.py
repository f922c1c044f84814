"""Cards are tried out for real, in a process of its own."""

from ad_workers.machine import try_out


def test_a_trial_of_cards_that_are_not_there_says_why_for_each():
    problems = try_out(["GPU-nosuch", "GPU-either"])

    assert list(problems) == ["GPU-nosuch", "GPU-either"]
    assert all(problem and "\n" not in problem for problem in problems.values())
