"""Promises of the patches that take a promise's guard away: one each, fitting the code, naming its test."""

import re
from pathlib import Path

import pytest

from mutants.mutate import REPOSITORY, Mutant, applies, mutants

PROMISES = 12


def test_there_is_one_for_each_promise():
    assert [one.number for one in mutants()] == list(range(1, PROMISES + 1))


@pytest.mark.parametrize("mutant", mutants(), ids=lambda one: one.file.stem)
def test_it_fits_the_code_and_names_a_test_of_its_promise(mutant: Mutant):
    if not (REPOSITORY / ".git").exists():
        pytest.skip("no checkout")
    assert applies(mutant, REPOSITORY) == ""
    file, name = mutant.test.split("::")[:2]
    assert re.match(rf"tests/chaos/test_{mutant.number:02}_", file)
    function = name.partition("[")[0]
    assert f"def {function}(" in (REPOSITORY / file).read_text(encoding="utf-8")
    assert mutant.guard
    assert mutant.says
    changed = re.findall(r"^\+\+\+ b/(\S+)", mutant.file.read_text(encoding="utf-8"), flags=re.M)
    assert changed
    assert not any(Path(path).parts[0] == "tests" for path in changed)
