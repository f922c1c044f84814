"""The page on failures says what the table of policies says."""

import re
from pathlib import Path

from ad_platform.policies import POLICIES, RETRYABLE
from ad_platform.states import FailureClass

PAGE = (Path(__file__).parents[2] / "docs" / "failures.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| [^|]+ \| (\w+) \| [^|]+ \|$", re.MULTILINE)


def test_every_class_has_its_row_with_its_policy() -> None:
    assert dict(ROW.findall(PAGE)) == {name.value: policy.sequel.value for name, policy in POLICIES.items()}
    assert set(POLICIES) == set(FailureClass)


def test_every_policy_says_why_and_what_to_do() -> None:
    for failure, policy in POLICIES.items():
        assert policy.why
        assert not policy.why.endswith(".")
        assert policy.advice.format(id="J", path="P")
        assert (policy.sequel.value == "stop") is (failure not in RETRYABLE)
