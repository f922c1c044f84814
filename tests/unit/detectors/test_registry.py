"""A detector is there because its file is; a broken one harms nobody else; nothing is imported in vain."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import EntryPoint

import jsonschema
import pytest

from ad_detectors import catalogue, registry, stages
from ad_detectors.errors import BrokenDetector, ConfigError, UnknownDetector
from made_up_detectors import MOVING_STAGES, ONE_FILE, PUBLISHED, TWO_STAGES

Add = Callable[..., str]
DATACLASS = "from dataclasses import dataclass\n@dataclass({})\nclass Config:\n"
FROZEN = "frozen=True, kw_only=True"


def test_a_new_file_in_the_zoo_is_a_new_detector(add_detector: Add) -> None:
    add_detector("meandiff")
    assert "meandiff" in registry.names()
    known = registry.describe("MeanDiff")
    assert (known.name, known.summary) == ("meandiff", "Distance to the mean of the normal images.")
    assert list(known.presets) == ["default", "tiny"]
    assert known.stages[0].fields == ("image_size", "gain")
    detector = registry.create("MEANDIFF", {"gain": 2.0})
    assert detector.config == known.config(gain=2.0)
    assert registry.create("meandiff", known.config(gain=3.0)).config.gain == 3.0


def test_a_config_instance_out_of_range_is_refused(add_detector: Add) -> None:
    known = registry.describe(add_detector("meandiff"))
    with pytest.raises(ConfigError, match=r"gain = 11\.0 is out of range"):
        registry.create("meandiff", known.config(gain=11.0))


def test_an_unknown_name_gets_the_nearest(add_detector: Add) -> None:
    add_detector("meandiff")
    with pytest.raises(UnknownDetector, match=r"no detector named 'maendiff'; did you mean meandiff\?"):
        registry.describe("maendiff")


def test_a_package_is_described_without_its_detector_module(add_detector: Add) -> None:
    head = ONE_FILE.partition("class Mean")[0]
    add_detector("split", '"""Two files."""\n', config=head, detector="raise ImportError('no torch here')")
    assert registry.describe("split").summary == "Two files."
    with pytest.raises(BrokenDetector, match="detector 'split' cannot be used: ImportError: no torch here"):
        registry.create("split", {})


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
        ("def broken(:", "SyntaxError"),
        ("raise SystemError('ouch\\nmore')", "SystemError: ouch"),
        ("class Config: pass", "has no dataclass Config"),
        (DATACLASS.format("") + "  image_size: int = 3", "frozen=True, kw_only=True"),
        (DATACLASS.format(FROZEN) + "  size: int = 3", "must have a field image_size"),
        (ONE_FILE + "PRESETS = {'tiny': {'imagesize': 3}}", "there is no setting 'imagesize'"),
        (DATACLASS.format(FROZEN) + "  image_size: int = 3", "must define one subclass of Detector, not 0"),
    ],
)
def test_a_broken_detector_is_listed_with_its_reason_and_the_others_work(
    add_detector: Add, source: str, reason: str
) -> None:
    add_detector("meandiff")
    add_detector("rotten", source)
    assert {"meandiff", "rotten"} <= set(registry.names())
    assert "meandiff" not in registry.broken()
    assert reason in registry.broken()["rotten"]
    assert "\n" not in registry.broken()["rotten"]
    assert "meandiff" in catalogue.build()
    assert "rotten" not in catalogue.build()
    with pytest.raises(BrokenDetector):
        catalogue.build(["rotten"])


def test_other_peoples_detectors_come_by_entry_point_and_do_not_hide_ours(
    add_detector: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_detector("meandiff")
    points = [
        EntryPoint("theirs", "ad_detectors.zoo.meandiff", registry.GROUP),
        EntryPoint("meandiff", "nowhere.at.all", registry.GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: points if group == registry.GROUP else [])
    assert registry.describe("theirs").name == "theirs"
    assert registry.describe("meandiff").name == "meandiff"
    assert "theirs" not in registry.built_in()


def test_resolve_lays_overrides_over_the_preset_over_the_defaults(add_detector: Add) -> None:
    add_detector("meandiff")
    assert registry.resolve("meandiff", None, {}) == {"image_size": 16, "gain": 1.0}
    assert registry.resolve("meandiff", "tiny", {"gain": 2}) == {"image_size": 8, "gain": 2.0}
    with pytest.raises(ConfigError, match=r"meandiff has no preset 'tinny'; did you mean tiny\?"):
        registry.resolve("meandiff", "tinny", {})


def test_a_published_preset_sets_what_its_category_says(add_detector: Add) -> None:
    name = add_detector("published", ONE_FILE + PUBLISHED)
    assert registry.resolve(name, "paper", {}, "screw") == {"image_size": 32, "gain": 3.0}
    assert registry.resolve(name, "paper", {}, "METAL_NUT") == {"image_size": 64, "gain": 4.0}
    assert registry.resolve(name, "paper", {"gain": 5.0}, "Carpet") == {"image_size": 32, "gain": 5.0}
    assert registry.resolve(name, None, {}, "screw") == {"image_size": 16, "gain": 1.0}


@pytest.mark.parametrize(
    ("preset", "category", "says"),
    [
        ("paper", None, "depend on the category; name one of: Screw, carpet, metal_nut"),
        ("paper", "metal-nut", "'metal-nut'; did you mean metal_nut?"),
        ("paper", "zipper", "not published for the category 'zipper'; there are: Screw, carpet, metal_nut"),
        ("papr", "screw", "has no preset 'papr'; did you mean paper?"),
    ],
)
def test_a_category_that_was_not_published_gets_those_that_were(
    add_detector: Add, preset: str, category: str | None, says: str
) -> None:
    name = add_detector("published", ONE_FILE + PUBLISHED)
    with pytest.raises(ConfigError) as caught:
        registry.resolve(name, preset, {}, category)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ('PUBLISHED["paper"].categories["screw"] = {}', "has a category twice"),
        ('PRESETS["paper"] = {}', "PRESETS and PUBLISHED both have 'paper'"),
        ('PUBLISHED["paper"].categories["carpet"]["gain"] = 99', "gain = 99 is out of range"),
        ('DEFAULT_PRESET = "paper"', "DEFAULT_PRESET is 'paper', which PRESETS lacks"),
        ("STAGES_WHEN = (('gain > 5', (Stage('a', ()),)),)", "must give the stages a, b where gain > 5"),
        ("PARALLEL = ('b',)", "PARALLEL must name the first of the stages a, b, in their order"),
        ("STAGES_WHEN = (('gane > 5', STAGES),)", "name 'gane' is not defined"),
    ],
)
def test_a_published_preset_or_stages_that_cannot_be_break_the_detector(
    add_detector: Add, wrong: str, reason: str
) -> None:
    name = add_detector("published", f"{ONE_FILE}{PUBLISHED}{MOVING_STAGES}{wrong}\n")
    with pytest.raises(BrokenDetector) as caught:
        registry.describe(name)
    assert reason in str(caught.value)
    assert str(caught.value).count("cannot be used") == 1


def test_the_catalogue_tells_what_was_published_as_plain_values(add_detector: Add) -> None:
    entry = catalogue.entry(add_detector("published", ONE_FILE + PUBLISHED + MOVING_STAGES))
    assert entry["published"] == {
        "paper": {
            "source": "Table 9 of a paper",
            "base": {"image_size": 32, "gain": 1.0},
            "categories": {
                "Screw": {"gain": 3.0},
                "metal_nut": {"gain": 4.0, "image_size": 64},
                "carpet": {},
            },
        }
    }
    assert [stage["fields"] for stage in entry["stages"]] == [["image_size"], ["gain"]]
    (moved,) = entry["stages_when"]
    assert moved["when"] == "gain == 2"
    assert [stage["fields"] for stage in moved["stages"]] == [["image_size", "gain"], ["gain"]]


def test_the_fields_of_a_stage_may_depend_on_the_config(add_detector: Add) -> None:
    given = {"fingerprint": "f", "split": "all", "precision": "float32", "seed": 1}
    name = add_detector("published", ONE_FILE + MOVING_STAGES)
    known = registry.describe(name)
    assert known.stages_of(known.config(gain=2.0))[0].fields == ("image_size", "gain")
    assert known.stages_of(known.config())[0].fields == ("image_size",)
    plain, moved = (stages.keys(name, {"gain": gain}, **given) for gain in (1.0, 2.0))
    other = stages.keys(name, {"gain": 3.0}, **given)
    assert plain["a"] == other["a"]
    assert moved["a"] != plain["a"]


def test_the_catalogue_is_json_whose_presets_satisfy_its_schemas(add_detector: Add) -> None:
    add_detector("meandiff")
    entries = catalogue.build()
    assert json.loads(json.dumps(entries)) == entries
    for entry in entries.values():
        assert entry["default_preset"] in entry["presets"]
        for preset in entry["presets"].values():
            jsonschema.validate(preset, entry["schema"])
    assert entries["meandiff"]["stages"] == [{"name": "fit", "version": 1, "fields": ["image_size", "gain"]}]
    assert entries["meandiff"]["presets"]["tiny"] == {"image_size": 8, "gain": 1.0}


def test_the_catalogue_is_built_without_torch_and_the_names_without_any_detector() -> None:
    code = (
        "import sys; from ad_detectors import registry, catalogue; names = registry.names();"
        "assert not [m for m in sys.modules if m.startswith('ad_detectors.zoo.')], 'imported to be listed';"
        "assert sorted(catalogue.build()) == names, registry.broken();"
        "print([m for m in ('torch', 'numpy', 'PIL', 'timm', 'safetensors') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")


def test_a_stage_key_depends_on_its_own_fields_and_those_before_it_alone(add_detector: Add) -> None:
    add_detector("staged", ONE_FILE + TWO_STAGES.format(1))
    add_detector("newer", ONE_FILE + TWO_STAGES.format(2))
    given = {"fingerprint": "f", "split": "all", "precision": "float32", "seed": 1}
    first = stages.keys("staged", {}, **given)
    assert list(first) == ["a", "b"]
    assert stages.keys("STAGED", {"image_size": 16, "gain": 1}, **given) == first
    other_gain = stages.keys("staged", {"gain": 2.0}, **given)
    assert (other_gain["a"] == first["a"], other_gain["b"] == first["b"]) == (True, False)
    for change in ({"fingerprint": "g"}, {"split": "half"}, {"precision": "bfloat16"}, {"seed": 2}):
        changed = stages.keys("staged", {}, **{**given, **change})
        assert not set(changed.values()) & set(first.values()), change
    assert not set(stages.keys("staged", {"image_size": 8}, **given).values()) & set(first.values())
    assert not set(stages.keys("newer", {}, **given).values()) & set(first.values())


def test_a_new_version_of_a_stage_leaves_the_keys_before_it_alone(
    add_detector: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"fingerprint": "f", "split": "all", "precision": "float32", "seed": 1}
    add_detector("staged", ONE_FILE + TWO_STAGES.format(1))
    first = stages.keys("staged", {}, **given)
    module = sys.modules["ad_detectors.zoo.staged"]
    monkeypatch.setattr(module, "STAGES", (module.STAGES[0], module.Stage("b", ("gain",), 2)))
    second = stages.keys("staged", {}, **given)
    assert (second["a"] == first["a"], second["b"] == first["b"]) == (True, False)


def test_pictures_decoded_in_another_way_give_stages_of_other_keys(
    add_detector: Add, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"fingerprint": "f", "split": "all", "precision": "float32", "seed": 1}
    name = add_detector("staged", ONE_FILE + TWO_STAGES.format(1))
    before = stages.keys(name, {}, **given)
    monkeypatch.setattr(stages.decoding, "VERSION", stages.decoding.VERSION + 1)
    assert not set(stages.keys(name, {}, **given).values()) & set(before.values())


def test_a_part_of_a_state_is_what_its_stage_named() -> None:
    state = {"a/x": 1, "a/training/y": 2, "ab/z": 3, "b/x": 4}
    assert stages.part(state, "a") == {"a/x": 1, "a/training/y": 2}


def test_editing_a_detector_that_declares_no_stages_is_like_a_new_version(add_detector: Add) -> None:
    given = {"fingerprint": "f", "split": "all", "precision": "float32", "seed": 1}
    add_detector("plain")
    first = stages.keys("plain", {}, **given)
    assert stages.keys("plain", {}, **given) == first
    add_detector("plain", ONE_FILE.replace("mean(0)", "amax(0)"))
    assert stages.keys("plain", {}, **given) != first
    add_detector("staged", ONE_FILE + TWO_STAGES.format(1))
    declared = stages.keys("staged", {}, **given)
    add_detector("staged", "# a remark" + chr(10) + ONE_FILE + TWO_STAGES.format(1))
    assert stages.keys("staged", {}, **given) == declared
