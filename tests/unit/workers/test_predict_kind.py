"""A prediction at a child's desk: shard by shard, behind what is there, one row a picture whatever ends."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from ad_detectors import checkpoint, registry
from ad_detectors.data.images import train_images
from ad_detectors.data.layout import open_category
from ad_detectors.fitting import ContextCore, run_fit
from ad_detectors.testing import pictures, with_defect
from ad_platform import settings as environment
from ad_platform.errors import StorageDown
from ad_platform.pictures.pushing import Pusher
from ad_platform.specs import DatasetRef, JobSpec, Json, PictureAsk
from ad_platform.states import Directive, JobKind
from ad_platform.storage.layout import model_prefix
from ad_platform.storage.listings import write_listing
from ad_platform.storage.parts import in_a_row, rows_of, whole_parts
from ad_workers import messages as say
from ad_workers.desk import Desk, Stop
from ad_workers.exits import Exit
from ad_workers.kinds import predict
from ad_workers.link import Link
from ad_workers.predicting import shards
from ad_workers.predicting.submitting import listed
from desks import SIDE, Desks, make_category, spec_of
from job_stories import Stories

COUNT = 37
POINT: dict[str, Json] = {
    "threshold": 2.0,
    "map_threshold": 2.0,
    "rate": 0.1,
    "normals": 9,
    "certified": True,
}


class Bureau:
    """Desks for predictions with one model, over pictures of which every fourth has a defect."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.desks = folder, Desks(folder, job="p")
        category = make_category(folder / "c", test=False)
        detector = registry.create("pixel_mean", {"image_size": SIDE})
        known = spec_of(JobKind.TRAIN, category, "pixel_mean").dataset.fingerprint
        data = train_images(open_category(category), SIDE, folder / "cache", known)
        run_fit(detector, data, ContextCore(detector, device="cpu", seed=0))
        checkpoint.save_model(folder / "model", "pixel_mean", detector.config, detector.state())
        self.desks.storage.publish(model_prefix("t", 1), folder / "model", {})
        self.photos = folder / "photos"
        self.photos.mkdir()
        for number, image in enumerate(pictures(COUNT, SIDE, seed=9)):
            shown = with_defect(image[None])[0] if number % 4 == 3 else image
            Image.fromarray(shown.permute(1, 2, 0).numpy()).save(self.photos / f"{number:02}.png")

    def spec(self, **asked: object) -> JobSpec:
        files = sorted(self.photos.iterdir())
        listing = write_listing(self.desks.storage, listed(files, "here"))
        ask = PictureAsk(count=len(files), threshold=POINT, shard=8, **asked)  # type: ignore[arg-type]
        return JobSpec(
            kind=JobKind.PREDICT,
            detector="pixel_mean",
            dataset=DatasetRef(dataset="d", category="c", fingerprint=listing, path=str(self.photos)),
            device="cpu",
            source="t",
            pictures=ask,
        )

    def open(self, spec: JobSpec, attempt: int = 1) -> tuple[Desk, Link]:
        return self.desks.open(spec, model_prefix("t", 1), attempt)

    def rows(self) -> list[dict[str, Json]]:
        uses = in_a_row(whole_parts(self.desks.storage, ["p"]))
        return [
            json.loads(line)
            for use in uses
            for line in rows_of(self.desks.storage, use, self.folder / "rows")
        ]


@pytest.fixture
def bureau(tmp_path: Path) -> Iterator[Bureau]:
    made = Bureau(tmp_path)
    yield made
    made.desks.close()


def heard(link: Link) -> list[say.Report]:
    return [message for message in link.receive() if isinstance(message, say.Report)]


def test_every_picture_has_one_row_in_order_and_the_job_says_how_many_were_decided_how(
    bureau: Bureau,
) -> None:
    (bureau.photos / "05.png").write_text("no picture")
    desk, link = bureau.open(bureau.spec())

    result = predict.run(desk).result

    rows = bureau.rows()
    assert [Path(str(row["path"])).name for row in rows] == [f"{number:02}.png" for number in range(COUNT)]
    assert [row["decision"] for row in rows].count("anomalous") == result["metrics"]["anomalous"] == 9
    assert (result["metrics"]["unreadable"], result["metrics"]["normal"], result["images"]) == (1, 27, COUNT)
    assert "no JPEG" in str(rows[5]["error"])
    table = bureau.desks.read(result["bundle"], "scores.csv").splitlines()
    assert len(table) == COUNT + 1
    assert table[4].split(",")[1:4] == [repr(rows[3]["score"]), "anomalous", "2.0"]
    told = heard(link)
    assert [(one.step, one.of) for one in told][-1] == (COUNT, COUNT)
    assert sorted(one.step for one in told) == [one.step for one in told]


def test_a_drained_prediction_goes_on_behind_its_last_row_with_the_same_scores(bureau: Bureau) -> None:
    spec = bureau.spec()
    desk, link = bureau.open(spec)
    link.send(say.Order(directive=Directive.DRAIN))
    with pytest.raises(Stop) as stopped:
        predict.run(desk)
    assert stopped.value.code is Exit.DRAINED
    assert 0 < len(bureau.rows()) < COUNT

    again, link = bureau.open(spec, attempt=2)
    result = predict.run(again).result
    resumed = bureau.rows()
    assert result["metrics"]["anomalous"] == 9
    first = next(one for one in heard(link) if one.message == "scoring images")
    assert first.step > 8

    bureau.desks.storage.remove("jobs/p")
    predict.run(bureau.open(spec)[0])
    assert bureau.rows() == resumed
    assert len(resumed) == COUNT


def test_scores_that_were_damaged_are_named_and_made_again(
    bureau: Bureau, capfd: pytest.CaptureFixture[str]
) -> None:
    spec = bureau.spec()
    predict.run(bureau.open(spec)[0])
    rows, storage = bureau.rows(), bureau.desks.storage
    parts = sorted(storage.bundles("jobs/p/parts"))
    (place,) = (bureau.desks.folder / "storage" / parts[1]).glob("v-*/scores.jsonl")
    place.write_bytes(place.read_bytes()[:-20])
    storage.write(f"{parts[2]}/manifest.json", b"")
    desk, link = bureau.open(spec, attempt=2)
    predict.run(desk)
    assert bureau.rows() == rows
    (note,) = [one for one in link.receive() if isinstance(one, say.Note) and "passed_over" in one.facts]
    first, second = note.facts["passed_over"]  # type: ignore[misc]
    assert f"{parts[1]} is broken: scores.jsonl has changed" in str(first)
    assert f"{parts[2]} is broken: its manifest.json cannot be read" in str(second)
    assert f"scores its pictures again: {first}" in capfd.readouterr().out


def test_a_cancelled_one_stops_at_once_and_keeps_what_is_there(bureau: Bureau) -> None:
    desk, link = bureau.open(bureau.spec())
    link.send(say.Order(directive=Directive.CANCEL))
    with pytest.raises(Stop) as stopped:
        predict.run(desk)
    assert stopped.value.code is Exit.CANCELLED
    assert bureau.rows() == []


def test_what_a_frozen_attempt_publishes_late_doubles_nothing(bureau: Bureau) -> None:
    """Its part overlaps those of the attempt that took over; the rows are the same, and each counts once."""
    spec = bureau.spec()
    predict.run(bureau.open(spec, attempt=2)[0])
    whole = bureau.rows()
    bureau.folder.joinpath("late").mkdir()
    (bureau.folder / "late" / "scores.jsonl").write_text(
        "".join(f"{json.dumps(row)}\n" for row in whole[:20])
    )
    bureau.desks.storage.publish("jobs/p/parts/000000000-000020", bureau.folder / "late")
    assert bureau.rows() == whole
    assert len(whole) == COUNT


def test_nothing_is_published_once_the_lease_is_over(bureau: Bureau) -> None:
    desk, _ = bureau.open(bureau.spec())
    desk.deadline = 0.0
    with pytest.raises(Stop) as stopped:
        predict.run(desk)
    assert stopped.value.code is Exit.LOST
    assert bureau.rows() == []


@pytest.mark.parametrize("how", ["gone", "empty"])
def test_a_share_that_is_away_is_no_broken_picture(bureau: Bureau, how: str) -> None:
    """Neither at the start nor in the midst: the attempt ends, to be made again, and no row is wrong."""
    spec = bureau.spec()

    def away() -> None:
        shutil.rmtree(bureau.photos, ignore_errors=True)
        if how == "empty":
            bureau.photos.mkdir()

    publish = shards.Shards.publish

    def then_away(self: shards.Shards) -> None:
        publish(self)
        away()

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(shards.Shards, "publish", then_away)
        with pytest.raises(StorageDown, match="on this node"):
            predict.run(bureau.open(spec)[0])
    assert {row["error"] for row in bureau.rows()} == {None}
    with pytest.raises(StorageDown, match="on this node"):
        predict.run(bureau.open(spec, attempt=2)[0])


def test_what_is_drawn_lies_beside_the_rows_that_name_it(bureau: Bureau, tmp_path: Path) -> None:
    predict.run(bureau.open(bureau.spec(overlays=True, masks=True, maps=True))[0])

    rows = bureau.rows()
    assert rows[3] | {"score": None} == {
        "path": str(bureau.photos / "03.png"),
        "score": None,
        "decision": "anomalous",
        "heat_map": "03.png",
        "mask": "03.mask.png",
        "map": "03.map.npy",
        "error": None,
    }
    drawn = tmp_path / "drawn"
    for use in in_a_row(whole_parts(bureau.desks.storage, ["p"])):
        bureau.desks.storage.fetch(use.part.drawn, drawn)
    assert len(list(drawn.iterdir())) == 3 * COUNT


def test_shards_are_cut_by_time_and_cost_and_by_number(bureau: Bureau) -> None:
    now = [0.0]
    desk, _ = bureau.open(bureau.spec())
    made = shards.Shards(desk, [], shards.Makes(overlays=False), first=0, most=None, clock=lambda: now[0])
    made.add([shards.Prediction(path="a", score=1.0)])
    assert not made.due
    now[0] = shards.AT_LEAST
    assert made.due
    made.publish()
    now[0] = 100_000.0
    made.publish()  # nothing was added: there is nothing to publish
    made.add([shards.Prediction(path="b", score=1.0)])
    made.publish()
    now[0] += 999.0
    assert not made.due  # a death costs less than a hundredth of what was done
    now[0] += 2.0
    assert made.due
    made.add([shards.Prediction(path="c", score=1.0)] * shards.MOST)
    now[0] -= 1001.0
    assert made.due


def test_pushed_pictures_are_scored_where_their_folder_is_not_and_called_as_they_were(bureau: Bureau) -> None:
    stories = Stories(bureau.folder)
    settings = environment.load({"ADCTL_HOME": str(bureau.folder), "ADCTL_USER": "kim"})
    files = sorted(bureau.photos.iterdir())
    pusher = Pusher(stories.store, bureau.desks.storage, settings)
    listing, result = pusher.listing(listed(files, "here"))
    stories.store.close()
    assert result.sent == COUNT
    spec = bureau.spec()
    spec = replace(spec, dataset=replace(spec.dataset, fingerprint=listing.fingerprint))
    shutil.move(bureau.photos, bureau.folder / "away")
    desk, link = bureau.open(spec)
    desk.assignment = replace(desk.assignment, pushed=True, fetch_limit=10**8)

    assert predict.run(desk).result["images"] == COUNT

    assert [row["path"] for row in bureau.rows()] == [str(file) for file in files]
    told = [one.message for one in heard(link)]
    assert any(words.startswith("fetching images") for words in told)
