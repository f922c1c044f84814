"""Promises of `adctl why`: the same explanation as text, as JSON and as one word."""

from clientkit import Bench

TRAIN = ("submit", "train", "-m", "toy", "-q", "--data")


def test_why_tells_the_cause_and_what_to_do_below_the_job(adctl, screw):
    job = adctl(*TRAIN, str(screw)).out.strip()

    called = adctl("why", job[:6])

    first, second = called.out.splitlines()
    assert called.code == 0
    assert first == f"{job}  train queued"
    assert second.startswith("  no worker is online, so the job waits; start one with: adctl worker start")
    assert called.err == ""


def test_why_is_one_word_when_quiet_and_whole_as_json(adctl, desk: Bench, screw):
    job = adctl(*TRAIN, str(screw)).out.strip()
    assert adctl("why", job, "-q").out == "no-worker\n"
    desk.online()

    whole = adctl("why", job, "--json").json

    assert (whole["id"], whole["state"], whole["could_run"]) == (job, "queued", True)
    assert [cause["kind"] for cause in whole["causes"]] == ["ready"]
    assert whole["lines"][0].startswith("nothing keeps it")
    assert whole["estimate"]["starts_in"] == 0


def test_why_of_an_evaluation_leads_to_why_its_training_is_not_running(adctl, desk: Bench, screw):
    train = adctl(*TRAIN, str(screw)).out.strip()
    adctl("queue", "pause", "default", "--reason", "lunch")

    called = adctl("why", "@last")

    assert f"it waits for job {train} (train toy on parts/screw), which is queued" in called.out
    assert "\n    the queue 'default' is paused, by kim" in called.out
    assert called.out.count("lunch") == 1


def test_a_submit_to_a_paused_queue_warns_in_the_same_words(adctl, desk: Bench, screw):
    desk.online()
    adctl("queue", "pause", "default", "--reason", "lunch")

    called = adctl("submit", "train", "-m", "toy", "--data", str(screw), "--no-evaluate")

    warned = [line for line in called.err.splitlines() if line.startswith("warning: the queue 'default'")]
    assert len(warned) == 1
    assert warned[0].endswith(": lunch; let it go on with: adctl queue resume default")


def test_why_of_an_unknown_job_is_one_line(adctl):
    called = adctl("why", "abcdef")
    assert called.code == 2
    assert called.err.count("\n") == 1
