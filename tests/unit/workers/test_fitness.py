"""Doctor says whether this machine can compute, and which detectors lack weights."""

from ad_platform import settings as environment
from ad_platform.devices import Card, Devices
from ad_platform.doctor.findings import Level
from ad_workers.fitness import backbones, cards, hub_of, weights
from ad_workers.machine import Machine


def machine(*cards: Card, torch: str = "2.14.1+cu130", metal: bool = False) -> Machine:
    return Machine(Devices(cards=cards, torch=torch, metal=metal, driver="580", driver_cuda="13.0"), ())


def test_a_card_that_cannot_be_used_is_a_problem_with_what_to_do():
    (good, bad) = cards(
        machine(Card(name="H100", memory_mb=81559), Card(name="Old", problem="too old; buy one"))
    )

    assert (good.level, good.words) == (
        Level.OK,
        "H100, 80 GB, driver 580 for CUDA 13.0, torch 2.14.1+cu130",
    )
    assert (bad.level, bad.words, bad.remedy) == (Level.PROBLEM, "Old cannot be used: too old", "buy one")


def test_without_a_card_or_without_torch_nothing_is_wrong():
    said = [next(iter(cards(each))) for each in (machine(), machine(metal=True), machine(torch=""))]

    assert [each.level for each in said] == [Level.OK] * 3
    assert "the CPU" in said[0].words
    assert "Metal" in said[1].words
    assert "torch is not installed" in said[2].words


def test_every_backbone_of_a_preset_is_asked_for_once_default_presets_apart():
    catalogue = {
        "a": {
            "default_preset": "small",
            "presets": {
                "small": {"backbone": "net"},
                "big": {"backbone": "wide"},
                "plain": {"backbone": "none"},
            },
            "published": {"paper": {"base": {"backbone": "wide"}}},
        },
        "b": {"default_preset": "x", "presets": {"x": {"size": 3}}},
    }

    assert backbones(catalogue) == {"net": (["a small"], []), "wide": ([], ["a big", "a paper"])}


def test_a_file_in_the_folder_of_weights_is_found_and_what_is_missing_says_how_to_get_it(
    tmp_path, monkeypatch
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("ad_workers.fitness.WHEELS", {})
    monkeypatch.setattr("ad_detectors.backbones.weights.WHEELS", {})
    settings = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_WEIGHTS": str(tmp_path)})

    before = {each.words.split()[2].rstrip(","): each for each in weights(settings, computes=True)}
    assert before
    for backbone, finding in before.items():
        assert f"hf download timm/{backbone}" in finding.words + finding.remedy
        (tmp_path / f"{backbone}.safetensors").write_bytes(b"x")
    assert Level.WARNING in {each.level for each in before.values()}

    (after,) = weights(settings, computes=True)
    assert after.level is Level.OK
    assert all(backbone in after.words for backbone in before)


def test_a_folder_of_weights_that_is_not_there_is_a_problem_and_a_client_needs_none(tmp_path):
    settings = environment.load({"ADCTL_HOME": str(tmp_path), "ADCTL_WEIGHTS": str(tmp_path / "nowhere")})

    assert [each.level for each in weights(settings, computes=False)] == [Level.PROBLEM, Level.OK]


def test_a_name_without_a_tag_stands_for_what_the_cache_holds_of_it(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    (tmp_path / "models--timm--resnet18.a1_in1k").mkdir()

    assert hub_of("resnet18") == "timm/resnet18.a1_in1k"
    assert hub_of("resnet18.tv_in1k") == "timm/resnet18.tv_in1k"
    assert hub_of("resnet50") == "timm/resnet50"
