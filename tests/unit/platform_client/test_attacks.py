"""What can be asked of attacks, how it is written, and which detectors refuse."""

from __future__ import annotations

import pytest

from ad_platform import attacks, planning
from ad_platform.catalogue import UNSAID, Catalogue, DetectorEntry
from ad_platform.errors import InvalidRequest, InvalidValue, UnknownName
from ad_platform.specs import AttackAsk, DatasetRef, JobSpec
from ad_platform.states import JobKind

DATA = DatasetRef(dataset="parts", category="screw", fingerprint="ab" * 32, path="/x")


def test_attacks_are_named_by_their_kind_and_numbered_where_there_are_several() -> None:
    found = attacks.read(
        ["linf", "L2:eps=0.5, steps=7,eot=1", "linf:eps=4/255,soft=0.1", "certified:sigma=.25"]
    )
    assert [each.name for each in found] == ["linf", "l2", "linf-2", "certified"]
    assert found[0] == AttackAsk(name="linf", kind="linf", eps=2 / 255)
    assert (found[1].eps, found[1].steps, found[1].eot) == (0.5, 7, 1)
    assert found[2].words == "linf, eps 0.0157, soft 0.1"
    assert found[3].words == "certified, eps 0.1, sigma 0.25"


def test_all_is_each_kind_as_usual() -> None:
    assert attacks.read(["all"]) == attacks.read(["linf", "l2", "certified"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "linf:eps=0",
            "attack linf: eps must be a number over 0 and at most 1000, such as 0.2 or 2/255, not '0'",
        ),
        ("linf:eps=2/0", "not '2/0'"),
        ("linf:eps=-1", "not '-1'"),
        ("linf:eps=nan", "not 'nan'"),
        ("l2:steps=0", "attack l2: steps must be a whole number from 1 to 10000, not '0'"),
        ("l2:steps", "an option of an attack is written l2:NAME=VALUE, not 'steps'"),
        ("certified:draws=5", "from 10 to 100000, not '5'"),
        ("all:eps=1", "the attack all takes no options"),
    ],
)
def test_what_is_no_attack_is_said_with_what_would_be(text: str, said: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        attacks.read([text])
    assert said in str(caught.value)


def test_mistyped_kinds_and_options_name_the_nearest() -> None:
    with pytest.raises(UnknownName, match="did you mean linf"):
        attacks.read(["linff"])
    with pytest.raises(UnknownName, match="did you mean steps"):
        attacks.read(["linf:step=3"])
    with pytest.raises(UnknownName, match="option of attack certified"):
        attacks.read(["certified:steps=3"])


def test_the_same_attack_twice_and_too_many_are_refused() -> None:
    with pytest.raises(InvalidValue, match=r"the attack l2, eps 0\.2 is asked for twice; give it once"):
        attacks.read(["l2", "l2:eps=0.2"])
    with pytest.raises(InvalidValue, match="at most 8 attacks, not 9"):
        attacks.read([f"l2:eps=0.{number}" for number in range(1, 10)])


def catalogue() -> Catalogue:
    entries = {
        "able": DetectorEntry.from_json("able", {"no_attack": ""}),
        "unable": DetectorEntry.from_json("unable", {"no_attack": "it counts"}),
        "older": DetectorEntry.from_json("older", {}),
    }
    return Catalogue(entries)


def test_a_detector_without_a_gradient_refuses_by_name_and_says_who_has_one() -> None:
    with pytest.raises(InvalidRequest) as caught:
        planning.attacks(catalogue(), "unable", ["linf"])
    assert str(caught.value) == "detector 'unable' cannot be attacked: it counts; those that can be: able"
    with pytest.raises(InvalidRequest, match=UNSAID):
        planning.attacks(catalogue(), "older", ["linf"])
    assert planning.attacks(catalogue(), "able", ["linf"])[0].kind == "linf"
    assert planning.attacks(catalogue(), "unable", []) == ()


def test_a_spec_keeps_its_attacks_and_one_without_keeps_its_key_and_stays_readable_by_older_programs() -> (
    None
):
    trained = JobSpec(kind=JobKind.TRAIN, detector="able", dataset=DATA)
    plain = planning.evaluation_spec(trained, DATA, "a" * 16)
    tried = planning.evaluation_spec(trained, DATA, "a" * 16, attacks.read(["all", "l2:eps=1"]))
    assert JobSpec.from_json(tried.to_json()) == tried
    assert plain.key != tried.key
    assert plain.to_json()["attacks"] is None, "an older program would leave every job to newer ones"
    before = {name: value for name, value in plain.to_json().items() if name != "attacks"}
    assert JobSpec.from_json(before).key == plain.key
    assert JobSpec.from_json({**tried.to_json(), "strikes": [1]}).beyond == ("strikes",)


@pytest.mark.parametrize("broken", [[3], [{"kind": "l2"}], ["linf"]])
def test_a_spec_whose_attacks_are_none_is_refused(broken: list[object]) -> None:
    spec = JobSpec(kind=JobKind.EVALUATE, detector="able", dataset=DATA).to_json()
    with pytest.raises((TypeError, ValueError)):
        JobSpec.from_json({**spec, "attacks": broken})  # type: ignore[dict-item]
