"""Promises of the edges at which a test can have a process die: what arms them, and what then happens."""

import subprocess
import sys
from pathlib import Path

import pytest

from ad_platform import settings
from ad_platform.errors import InvalidValue
from ad_platform.failpoints import EDGES, EXIT_CODE, VARIABLE, Action, Armed, armed_by

EDGE = "submit.after-commit"
REACH = """
import sys
from ad_platform.failpoints import reach
for number in range(int(sys.argv[1])):
    reach(sys.argv[2])
    print(number, flush=True)
"""


def reaching(armed: str, times: int = 3, name: str = EDGE) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", REACH, str(times), name],
        env={"PYTHONPATH": ":".join(sys.path), VARIABLE: armed},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_what_arms_edges_is_read_as_it_is_written():
    told = f"{EDGE}@2:kill=/tmp/x, child/ring.before:sleep=0.5,*:trace=/tmp/y"
    assert armed_by({VARIABLE: told}) == (
        Armed(name=EDGE, action=Action.KILL, value="/tmp/x", hit=2),
        Armed(name="ring.before", action=Action.SLEEP, value="0.5", child=True),
        Armed(name="*", action=Action.TRACE, value="/tmp/y"),
    )
    assert armed_by({}) == armed_by({VARIABLE: " "}) == ()


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("submit.after-comit:kill", "no edge 'submit.after-comit'; did you mean submit.after-commit"),
        (f"{EDGE}:kil", "no action 'kil'; did you mean kill?"),
        (f"{EDGE}", "no action ''"),
        (f"{EDGE}@0:kill", "'0' in"),
        (f"{EDGE}@two:kill", "'two' in"),
        (f"{EDGE}:sleep=soon", "sleep needs seconds"),
        (f"{EDGE}:trace", "trace needs a file"),
        ("*:kill", "no edge '*'"),
    ],
)
def test_what_means_nothing_is_refused_where_settings_are_read(told: str, said: str):
    with pytest.raises(InvalidValue, match="ADCTL_FAILPOINT") as refused:
        settings.load({VARIABLE: told})
    assert said in str(refused.value)


def test_an_edge_kills_at_its_time_and_at_no_other():
    killed = reaching(f"{EDGE}@2:kill")
    assert (killed.returncode, killed.stdout) == (-9, "0\n")
    left = reaching(f"{EDGE}:exit")
    assert (left.returncode, left.stdout) == (EXIT_CODE, "")
    assert reaching(f"child/{EDGE}:kill").returncode == 0  # it is no child
    other = reaching("ring.before:kill")
    assert (other.returncode, other.stdout) == (0, "0\n1\n2\n")


def test_an_edge_with_a_file_acts_once_whoever_reaches_it(tmp_path: Path):
    armed = f"{EDGE}:kill={tmp_path / 'fired'}"
    assert reaching(armed).returncode == -9
    assert reaching(armed).returncode == 0
    assert (tmp_path / "fired").read_text().strip().isdecimal()


def test_a_trace_names_what_was_reached(tmp_path: Path):
    trace = tmp_path / "reached"
    assert reaching(f"*:trace={trace}", times=2).returncode == 0
    assert trace.read_text().splitlines() == [EDGE, EDGE]


def test_every_edge_has_one_name_that_says_when():
    assert len(set(EDGES)) == len(EDGES)
    assert all("." in edge for edge in EDGES)
