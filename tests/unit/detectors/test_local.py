"""A detector is fitted, scored and evaluated without a platform, and a fit that was cut off goes on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

import gradual_mean
from ad_detectors import checkpoint
from ad_detectors.__main__ import main
from ad_detectors.data.layout import open_category
from ad_detectors.data.splits import NONE, Holdout, split
from ad_detectors.errors import StateError
from ad_detectors.local import LocalContext, evaluate_local, fit_local, holdout_of, score_local
from ad_detectors.testing import digest, pictures, with_defect
from made_up_detectors import ONE_FILE, PUBLISHED

Add = Callable[..., str]


class Killed(Exception):
    pass


@pytest.fixture(autouse=True)
def gradual(add_detector: Add) -> str:
    return add_detector("gradual", Path(gradual_mean.__file__).read_text())


@pytest.fixture
def category(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "nut"
    clean = pictures(8, 16)
    groups = {
        "train/good": clean[:5],
        "test/good": clean[5:],
        "test/cut": with_defect(clean[5:]),
    }
    for group, images in groups.items():
        (folder / group).mkdir(parents=True)
        for index, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / group / f"{index}.png")
    return folder


def fit(category: Path, out: Path, **more: object) -> str:
    threads = torch.get_num_threads()
    detector = fit_local("gradual", {}, category, out, device="cpu", threads=threads, **more)  # type: ignore[arg-type]
    return digest(detector.state())


def die_at(last: int) -> Callable[[int, int, dict[str, float]], None]:
    def told(step: int, of: int, metrics: dict[str, float]) -> None:
        if step == last:
            raise Killed

    return told


def test_a_fit_that_was_cut_off_goes_on_and_ends_the_same(category: Path, tmp_path: Path) -> None:
    straight, steps = fit(category, tmp_path / "a"), []
    with pytest.raises(Killed):
        fit(category, tmp_path / "b", every=2, told=die_at(6))
    resumed = fit(category, tmp_path / "b", every=2, told=lambda step, of, metrics: steps.append(step))
    assert resumed == straight
    assert steps == [5, 6, 7], "it went on from the checkpoint at step 4"
    assert not (tmp_path / "b" / "checkpoints").exists()


def test_a_fit_called_again_after_its_end_computes_nothing(category: Path, tmp_path: Path) -> None:
    first = fit(category, tmp_path / "a")
    assert fit(category, tmp_path / "a", told=die_at(1)) == first


def test_a_checkpoint_of_another_fit_is_refused(category: Path, tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(category, tmp_path / "a", every=1, told=die_at(3))
    with pytest.raises(StateError, match="checkpoint of another fit"):
        fit(category, tmp_path / "a", seed=1)


def test_a_finished_stage_is_found_again_by_a_fit_that_shares_it(category: Path, tmp_path: Path) -> None:
    fit(category, tmp_path / "a")
    steps: list[int] = []
    fit_local(
        "gradual",
        {"gain": 2.0},
        category,
        tmp_path / "a",
        device="cpu",
        told=lambda step, of, metrics: steps.append(step),
    )
    assert steps == [7], "only the last stage depends on gain"


def test_what_is_held_out_is_not_learnt_from(category: Path, tmp_path: Path) -> None:
    everything = fit(category, tmp_path / "a", holdout=NONE)
    held = fit(category, tmp_path / "b", holdout=Holdout(0.2, 0.2))
    assert held != everything
    names = [sample.name for sample in split(open_category(category).train, Holdout(0.2, 0.2)).train]
    for picture in (category / "train" / "good").iterdir():
        if f"train/good/{picture.name}" not in names:
            picture.unlink()
    assert fit(category, tmp_path / "c", holdout=NONE) == held


def test_another_holdout_is_another_fit_and_shares_no_stage(category: Path, tmp_path: Path) -> None:
    fit(category, tmp_path / "a", holdout=NONE)
    steps: list[int] = []
    fit(category, tmp_path / "a", holdout=Holdout(0.2), told=lambda step, of, metrics: steps.append(step))
    assert steps[0] == 1
    assert holdout_of(tmp_path / "a") == Holdout(0.2)


def test_a_checkpoint_that_was_being_written_is_passed_over(tmp_path: Path) -> None:
    detector = gradual_mean.GradualMean(gradual_mean.Config())
    context = LocalContext(detector, folder=tmp_path, every=1)
    detector.restore({"mean/training/step": 1})
    context.report(1, of=3)
    checkpoint.save({"mean/training/step": 2}, tmp_path / "000000002.tmp")
    again = gradual_mean.GradualMean(gradual_mean.Config())
    assert LocalContext(again, folder=tmp_path).step == 1
    assert again.state() == {"mean/training/step": 1}


def test_a_fitted_detector_scores_files_as_the_evaluation_does(category: Path, tmp_path: Path) -> None:
    fit(category, tmp_path / "a")
    detector = checkpoint.load_model(tmp_path / "a")
    evaluation = evaluate_local(detector, category, tmp_path / "cache")
    scores = score_local(detector, [category / "test" / "cut", category / "test" / "good"])
    assert [each.score for each in scores] == [image.score for image in evaluation.images]
    assert evaluation.metrics["image_auroc"] == 1.0


def test_the_command_line_fits_scores_evaluates_and_lists(
    category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "model")
    fitting = ["fit", "Gradual", "--data", str(category), "--out", out, "-S", "steps=3", "--device", "cpu"]
    assert main(fitting) == 0
    assert json.loads((tmp_path / "model" / "config.json").read_text())["config"]["steps"] == 3
    capsys.readouterr()
    assert main(["score", out, str(category / "test" / "cut"), "--json", "--device", "cpu"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 3
    assert main(["evaluate", out, "--data", str(category), "--device", "cpu"]) == 0
    assert json.loads(capsys.readouterr().out)["image_auroc"] == 1.0
    assert main(["detectors"]) == 0
    assert "gradual\tDistance to a running mean" in capsys.readouterr().out
    assert main(["catalogue"]) == 0
    assert "gradual" in json.loads(capsys.readouterr().out)


def test_a_fit_that_names_no_folder_goes_beside_the_caller(
    category: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["fit", "Gradual", "--data", str(category), "-S", "steps=2", "--device", "cpu"]) == 0
    assert (tmp_path / f"gradual-{category.name}" / "config.json").exists()


def test_the_command_line_holds_a_tenth_out_and_nothing_under_a_published_preset(
    category: Path, tmp_path: Path, add_detector: Add
) -> None:
    name = add_detector("published", ONE_FILE + PUBLISHED)
    data = category.rename(category.parent / "SCREW")
    for out, more in (("a", []), ("b", ["--preset", "paper"]), ("c", ["--holdout", "20/20"])):
        fitting = ["fit", name, "--data", str(data), "--out", str(tmp_path / out), "--device", "cpu", *more]
        assert main(fitting) == 0
    assert [holdout_of(tmp_path / out).text for out in "abc"] == ["10/10", "none", "20/20"]
    assert json.loads((tmp_path / "b" / "config.json").read_text())["config"]["gain"] == 3.0
    assert [checkpoint.selected_on(tmp_path / out) for out in "abc"] == ["none", "test", "none"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["fit", "gradul", "--data", "{data}", "--out", "{out}"], "did you mean gradual?"),
        (["fit", "gradual", "--data", "{out}/no", "--out", "{out}"], "no does not exist"),
        (["fit", "gradual", "--data", "{data}", "--out", "{out}", "--preset", "tinny"], "did you mean tiny?"),
        (["fit", "gradual", "--data", "{data}", "--out", "{out}", "-S", "step=3"], "did you mean steps?"),
        (["fit", "gradual", "--data", "{data}", "--out", "{out}", "-S", "steps=0"], "at least 1"),
        (["fit", "gradual", "--data", "{data}", "--out", "{out}", "-S", "steps"], "FIELD=VALUE"),
        (["fit", "gradual", "--data", "{data}", "--out", "{out}", "--device", "gpu"], "no device 'gpu'"),
        (["fit", "gradual", "--data", "{data}", "--out", "{out}", "--holdout", "10"], "such as 10/10"),
        (["score", "{out}", "x.png"], "config.json"),
        (["evaluate", "{out}", "--data", "{data}"], "config.json"),
    ],
)
def test_a_mistake_on_the_command_line_gets_one_line_and_exit_code_2(
    category: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], says: str
) -> None:
    filled = [each.format(data=category, out=tmp_path / "out") for each in arguments]
    assert main(filled) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert says in captured.err
