"""An evaluation at a child's desk measures the splits there are, and its record says all that was found."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from ad_detectors import checkpoint, registry
from ad_detectors.data.images import train_images
from ad_detectors.data.layout import open_category
from ad_detectors.data.splits import Holdout
from ad_detectors.errors import DataError
from ad_detectors.evaluation import operating_file
from ad_detectors.fitting import ContextCore, run_fit
from ad_platform.attacks import read
from ad_platform.states import Directive, JobKind
from ad_platform.storage.layout import model_prefix
from ad_workers import messages as say
from ad_workers.desk import Desk, Stop
from ad_workers.kinds import evaluate
from ad_workers.link import Link
from desks import SIDE, Desks, make_category, spec_of

Open = Callable[..., tuple[Desk, Link]]


@pytest.fixture
def open_desk(tmp_path: Path) -> Iterator[Open]:
    desks = Desks(tmp_path)

    def opened(
        category: Path,
        holdout: str = "10/10",
        fit: bool = True,
        batch_divisor: int = 1,
        attacks: Sequence[str] = (),
    ) -> tuple[Desk, Link]:
        tried = read(attacks)
        spec = spec_of(JobKind.EVALUATE, category, "pixel_mean", source="t", holdout=holdout, attacks=tried)
        if fit:
            detector = registry.create("pixel_mean", {"image_size": SIDE})
            known = spec.dataset.fingerprint
            data = train_images(
                open_category(category), SIDE, tmp_path / "cache", known, Holdout.parse(holdout)
            )
            run_fit(detector, data, ContextCore(detector, device="cpu", seed=0))
            checkpoint.save_model(tmp_path / "model", "pixel_mean", detector.config, detector.state())
            desks.storage.publish(model_prefix("t", 1), tmp_path / "model", {})
        return desks.open(spec, model_prefix("t", 1), batch_divisor=batch_divisor)

    yield opened
    desks.close()


def test_the_record_of_an_evaluation_holds_measures_intervals_and_defects(
    open_desk: Open, tmp_path: Path
) -> None:
    desk, _ = open_desk(make_category(tmp_path / "c", test=True))
    result = evaluate.run(desk).result
    metrics = result["metrics"]
    assert 0.5 < metrics["test/image_auroc"] <= 1.0
    assert {name for name in metrics if metrics[name] is None} == set()
    assert {f"test/{name}" for name in ("pixel_ap", "pixel_f1_max", "aupro_30", "aupro_05")} < set(metrics)
    assert {f"validation/{name}" for name in ("image_auroc", "pixel_auroc", "saturated", "ties")} < set(
        metrics
    )
    low, high = result["intervals"]["test/image_auroc"]
    assert low <= metrics["test/image_auroc"] <= high
    assert set(result["defects"]) == {"cut", "hole"}
    assert result["defects"]["hole"]["pixel_auroc"] is None  # nobody drew it
    assert (result["images"], result["unmarked"]) == (7, 2)
    desk.storage.fetch(result["bundle"], tmp_path / "results")
    drawn = {path.parent.name for path in (tmp_path / "results").rglob("*.png")}
    assert drawn == {"gallery", "curves", "results"}
    assert len(list((tmp_path / "results" / "gallery").glob("*.png"))) == 7
    operating = operating_file.load(tmp_path / "results")
    assert operating is not None
    assert (operating.normals, operating.rate, operating.certified) == (2, 1 / 3, True)
    assert result["operating_point"] == operating.to_json()
    rows = (tmp_path / "results" / "scores.csv").read_text().splitlines()
    assert len(rows) == 1 + 7 + 2 + 4 + 2  # test, validation, two synthetic defects of each, calibration


def test_in_halves_an_evaluation_comes_to_the_same_and_says_so(open_desk: Open, tmp_path: Path) -> None:
    category = make_category(tmp_path / "c", test=True)
    whole, supervisor = open_desk(category)
    expected = evaluate.run(whole).result
    facts = [message.facts for message in supervisor.receive() if isinstance(message, say.Note)]
    assert not any("batch_divisor" in each or "divisible" in each for each in facts)

    halved, supervisor = open_desk(category, fit=False, batch_divisor=2)
    result = evaluate.run(halved).result
    assert {"batch_divisor": 2} in [m.facts for m in supervisor.receive() if isinstance(m, say.Note)]
    for name in ("metrics", "intervals", "operating_point", "defects"):
        assert result[name] == expected[name]


def test_a_category_without_a_test_split_is_measured_on_what_was_held_out(
    open_desk: Open, tmp_path: Path
) -> None:
    desk, _ = open_desk(make_category(tmp_path / "c", test=False))
    metrics = evaluate.run(desk).result["metrics"]
    assert {value for name, value in metrics.items() if name.startswith("test/")} == {None}
    assert metrics["validation/image_auroc"] is not None


def test_with_nothing_to_measure_on_the_job_says_what_to_do(open_desk: Open, tmp_path: Path) -> None:
    desk, _ = open_desk(make_category(tmp_path / "c", test=False), holdout="none")
    with pytest.raises(DataError, match="no test pictures and no normal ones were held out; add test/good/"):
        evaluate.run(desk)


def test_a_drained_evaluation_goes_on_at_another_desk_to_the_same_end(
    open_desk: Open, tmp_path: Path
) -> None:
    category = make_category(tmp_path / "c", test=True)
    desk, supervisor = open_desk(category)
    supervisor.send(say.Order(directive=Directive.DRAIN))
    with pytest.raises(Stop):
        evaluate.run(desk)
    made = [each for each in supervisor.receive() if isinstance(each, say.CheckpointMade)]
    assert [each.step for each in made] == [1]
    again, supervisor = open_desk(category, fit=False)
    resumed = evaluate.run(again).result
    steps = [each.step for each in supervisor.receive() if isinstance(each, say.Report)]
    # What was restored, then validation, two of its copies, calibration; then pictures are drawn.
    assert steps == [1, 2, 3, 4, 5, 5]
    whole, _ = open_desk(category, fit=False)
    (tmp_path / "storage" / "jobs" / "e").rename(tmp_path / "elsewhere")
    assert evaluate.run(whole).result["metrics"] == resumed["metrics"]


ATTACKS = ("linf:steps=3,eot=1", "l2:eps=1,steps=3,eot=1", "certified:draws=30")


def test_what_attacks_leave_stands_beside_the_plain_figures(open_desk: Open, tmp_path: Path) -> None:
    category = make_category(tmp_path / "c", test=True)
    desk, supervisor = open_desk(category, attacks=ATTACKS)
    result = evaluate.run(desk).result
    metrics = result["metrics"]
    for name in ("linf", "l2"):
        assert metrics[f"attack/{name}/image_auroc"] <= metrics["test/image_auroc"]
        low, high = result["intervals"][f"attack/{name}/image_auroc"]
        assert low <= metrics[f"attack/{name}/image_auroc"] <= high
    assert metrics["attack/certified/image_auroc"] <= metrics["attack/certified/median_image_auroc"]
    assert [(each["name"], each["eps"]) for each in result["attacks"]] == [
        ("linf", 2 / 255),
        ("l2", 1.0),
        ("certified", 0.1),
    ]
    told = [each for each in supervisor.receive() if isinstance(each, say.Report)]
    assert {each.of for each in told[1:]} == {5 + 3 * 7}
    assert told[-2].message == "attacking images: 21 of 21"
    desk.storage.fetch(result["bundle"], tmp_path / "results")
    with (tmp_path / "results" / "attacks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 7
    for row in rows:
        before, after = float(row["score"]), float(row["linf"])
        assert after < before if row["label"] == "1" else after > before


def test_an_evaluation_drained_at_every_batch_attacks_each_image_once_and_to_the_same_end(
    open_desk: Open, tmp_path: Path
) -> None:
    category = make_category(tmp_path / "c", test=True)
    straight = evaluate.run(open_desk(category, attacks=ATTACKS)[0]).result
    (tmp_path / "storage" / "jobs" / "e").rename(tmp_path / "elsewhere")
    steps: list[int] = []
    for _ in range(20):
        desk, supervisor = open_desk(category, fit=False, attacks=ATTACKS)
        if steps[-1:] != [5 + 3 * 7]:
            supervisor.send(say.Order(directive=Directive.DRAIN))
        try:
            result = evaluate.run(desk).result
        except Stop:
            steps += [each.step for each in supervisor.receive() if isinstance(each, say.CheckpointMade)]
            continue
        break
    assert steps == [1, 2, 3, 4, 5, 12, 19, 26]
    assert result["metrics"] == straight["metrics"]


def test_without_test_images_there_is_nothing_to_attack(open_desk: Open, tmp_path: Path) -> None:
    desk, _ = open_desk(make_category(tmp_path / "c", test=False), attacks=("linf",))
    with pytest.raises(DataError, match="there are no test images to attack; add test/good/"):
        evaluate.run(desk)
