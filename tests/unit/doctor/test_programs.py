"""Libraries of versions that were never tried, and mistyped variables, are named."""

import sys

from ad_platform.doctor.findings import Level
from ad_platform.doctor.programs import misfits, programs


def test_a_library_that_is_missing_or_of_another_version_is_named_with_what_to_do():
    asked = ["pytest<1", "no-such-library>=2", "pytest>=1", 'only-for-win>=1; sys_platform == "nowhere"']

    found = list(misfits(asked, computes=False))

    assert [each.level for each in found] == [Level.WARNING] * 2
    assert found[0].words.endswith("adctl was tried with <1")
    assert found[1].words == "no-such-library is not installed"
    assert found[0].remedy == "pip install -c constraints.txt ."


def test_what_only_a_worker_needs_counts_only_where_something_is_computed():
    asked = ['no-such-library>=2; extra == "worker"', 'other-library; extra == "s3"']

    assert list(misfits(asked, computes=False)) == []
    assert [each.words for each in misfits(asked, computes=True)] == ["no-such-library is not installed"]


def test_a_mistyped_variable_is_a_warning_with_the_nearest_name():
    found = [each for each in programs({"ADCTL_HOEM": "/x"}) if each.about == "environment"]

    assert [(each.level, each.remedy) for each in found] == [(Level.WARNING, "did you mean ADCTL_HOME?")]


def test_a_trap_of_a_test_is_a_warning():
    found = [
        each for each in programs({"ADCTL_FAILPOINT": "ring.before:kill"}) if each.about == "environment"
    ]

    assert [each.level for each in found] == [Level.WARNING]


def test_python_is_named(monkeypatch):
    assert sys.executable in next(programs({})).words

    monkeypatch.setattr(sys, "version_info", (3, 99, 0))

    assert next(programs({})).level is Level.WARNING
