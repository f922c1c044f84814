"""Whatever a person calls a model, it is found, or the nearest that there is gets named."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from ad_platform import settings as environment
from ad_platform.client import Client
from ad_platform.errors import AmbiguousId, Conflict, InvalidRequest, StoreDown
from ad_platform.models import carrier, find, history, registered
from ad_platform.queue.memory import MemoryQueue
from ad_platform.records import Champion, Outcome, Progress
from ad_platform.registry.promotion import promote
from ad_platform.specs import Submission
from ad_platform.states import AttemptOutcome, FailureClass, JobKind
from job_stories import Stories


@pytest.fixture
def stories(tmp_path: Path) -> Iterator[Stories]:
    made = Stories(tmp_path)
    yield made
    made.store.close()


@pytest.fixture
def client(stories: Stories) -> Client:
    return client_of(stories)


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Champion]]:
    """A store that is only looked at, with one model's champion and challenger."""
    made = Stories(tmp_path_factory.mktemp("settled"))
    champion = decide(made)
    decide(made, alias="challenger")
    yield client_of(made), champion
    made.store.close()


def client_of(stories: Stories) -> Client:
    home = {"ADCTL_HOME": str(stories.folder), "ADCTL_NODE": "here", "ADCTL_USER": "kim"}
    return Client(environment.load(home), stories.store, MemoryQueue(), stories.storage, code={})


def decide(stories: Stories, auroc: float = 0.9, alias: str = "champion", **more: object) -> Champion:
    job = stories.trained(auroc, **more)
    return promote(stories.store, stories.storage, job, alias, "ann", force=True, reason="because")


@pytest.mark.parametrize(
    "text",
    [
        "ddad-mvtec-bottle@champion",
        "DDAD-mvtec-Bottle@Champion",
        "ddad-mvtec-bottle",
        "ddad-mvtec",
        "bottle",
        "ddad-bot",
        "models:/ddad-mvtec-bottle@champion",
    ],
)
def test_a_champion_is_found_by_its_name_in_any_case_and_shortened(
    settled: tuple[Client, Champion], text: str
):
    client, champion = settled

    model = find(client, text)

    assert (model.name, model.alias, model.champion) == ("ddad-mvtec-bottle", "champion", champion)
    assert model.job is not None
    assert (model.job.id, model.bundle) == (champion.job_id, f"jobs/{champion.job_id}/model/a1")
    assert model.manifest_sha256 == model.job.result["manifest_sha256"]
    assert model.operating_job is not None
    assert model.operating_job.id == champion.evidence["evaluation"]


def test_the_alias_decides_which_job_is_meant(client: Client, stories: Stories):
    first, other = decide(stories), decide(stories, 0.95, alias="challenger")

    assert find(client, "bottle@challenger").job.id == other.job_id  # type: ignore[union-attr]
    assert find(client, "bottle").job.id == first.job_id  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["{id}", "{short}", "@last", "{evaluation}"])
def test_a_train_job_is_found_by_its_id_its_evaluation_or_as_the_newest(
    client: Client, stories: Stories, text: str
):
    job = stories.trained()
    evaluation = stories.store.jobs.search(kind=JobKind.EVALUATE)[0]

    model = find(client, text.format(id=job.id, short=job.id[:8], evaluation=evaluation.id))

    assert model.job == job
    assert (model.name, model.alias) == ("ddad-mvtec-bottle", None)


def test_only_an_evaluation_of_the_models_own_images_calibrates_it(client: Client, stories: Stories):
    job = stories.trained(0.9)
    own = stories.store.jobs.search(kind=JobKind.EVALUATE)[0]
    foreign = stories.submit(fingerprint="e" * 64)
    elsewhere = replace(foreign.spec, kind=JobKind.EVALUATE, source=job.id)
    (asked,) = stories.store.jobs.submit([Submission(spec=elsewhere, user="ann", needs=(job.id,))])
    stories.succeed(stories.lease(asked), {"results.csv": "a,b\n"}, {"image_auroc": 0.5})

    assert find(client, job.id).operating_job == own


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("botle", "did you mean ddad-mvtec-bottle"),
        ("ddad-mvtec-botle@champion", "did you mean ddad-mvtec-bottle"),
        ("bottle@chalenger", "no alias 'chalenger'; did you mean challenger"),
        ("bottle@3", "no alias '3'; there are: challenger, champion"),
        ("bottle@", "names no alias"),
        ("", "name a model"),
        ("@latest", "@last is the newest train job"),
        ("zzz", "there are: ddad-mvtec-bottle"),
    ],
)
def test_a_mistyped_name_is_answered_with_the_nearest(settled: tuple[Client, Champion], text: str, said: str):
    client, _ = settled

    with pytest.raises(InvalidRequest) as caught:
        find(client, text)
    assert said in str(caught.value)


def test_what_fits_several_is_not_guessed(client: Client, stories: Stories):
    decide(stories)
    decide(stories, category="cable", fingerprint="c" * 64)

    with pytest.raises(InvalidRequest, match="several models: ddad-mvtec-bottle, ddad-mvtec-cable"):
        find(client, "mvtec")


def test_a_word_that_may_be_a_job_or_a_model_is_not_guessed(
    client: Client, stories: Stories, monkeypatch: pytest.MonkeyPatch
):
    champion = decide(stories)
    job = stories.store.jobs.get(champion.job_id)
    monkeypatch.setattr(client, "job", lambda text: job)

    with pytest.raises(InvalidRequest, match=f"may be job {job.id} or the model ddad-mvtec-bottle"):
        find(client, "dda")


def test_without_any_alias_the_way_to_one_is_said(client: Client):
    with pytest.raises(InvalidRequest, match="adctl promote JOB"):
        find(client, "screw")
    with pytest.raises(InvalidRequest, match="adctl submit train"):
        find(client, "@last")


def test_several_jobs_with_one_beginning_are_named(client: Client, stories: Stories):
    first = [stories.submit().id[0] for _ in range(17)]  # of sixteen that there are
    shared = next(letter for letter in first if first.count(letter) > 1)
    with pytest.raises(AmbiguousId, match="give more characters"):
        find(client, shared)


def test_a_job_that_left_no_model_says_how_it_stands(client: Client, stories: Stories):
    job = stories.submit()
    with pytest.raises(Conflict, match=f"is queued and has no model yet; .* adctl why {job.id}"):
        find(client, job.id)
    lease = stories.lease(job)
    stories.store.leases.renew(lease, Progress(step=3, of=9))
    with pytest.raises(Conflict, match=r"is running \(step 3 of 9\) .* adctl watch"):
        find(client, "@last")
    outcome = Outcome(outcome=AttemptOutcome.FAILED, failure=FailureClass.CODE, error="it broke")
    stories.store.leases.finish(lease, outcome)
    with pytest.raises(Conflict, match=r"failed \(it broke\), so it has no model; .* adctl retry"):
        find(client, job.id)
    cancelled = stories.store.jobs.cancel(stories.submit().id)
    with pytest.raises(Conflict, match="was cancelled"):
        find(client, cancelled.id)


def test_a_folder_with_a_fitted_model_needs_no_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    away = Client(environment.load({"ADCTL_HOME": str(tmp_path / "nowhere")}))
    (tmp_path / "fitted").mkdir()
    (tmp_path / "fitted" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)

    assert find(away, str(tmp_path / "fitted")).folder == tmp_path / "fitted"
    assert find(away, "./fitted").name == "fitted"
    assert find(away, "fitted").name == "fitted"
    with pytest.raises(StoreDown):
        find(away, "other")
    with pytest.raises(InvalidRequest, match="does not exist"):
        find(away, "./other")
    with pytest.raises(InvalidRequest, match=r"no config\.json"):
        find(away, str(tmp_path))
    with pytest.raises(InvalidRequest, match="is a file"):
        find(away, "./fitted/config.json")


def test_what_carries_an_alias_is_listed_with_its_evaluation_and_its_past(client: Client, stories: Stories):
    first, second = decide(stories, 0.8), decide(stories, 0.9)
    other = decide(stories, 0.7, alias="challenger")

    found = registered(client)

    assert [(each.champion.job_id, each.words) for each in found] == [
        (other.job_id, "ddad-mvtec-bottle@challenger"),
        (second.job_id, "ddad-mvtec-bottle@champion"),
    ]
    assert found[1].evaluation is not None
    assert found[1].evaluation.result["metrics"] == {"image_auroc": 0.9}
    assert carrier(client, "bottle").champion == second
    assert carrier(client, "bottle@challenger").champion == other
    assert history(client, "ddad-mvtec-bottle") == [other, second, first]


def test_the_only_alias_of_a_model_need_not_be_named(client: Client, stories: Stories):
    only = decide(stories, alias="candidate")

    assert carrier(client, "bottle").champion == only
