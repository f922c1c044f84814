"""The pages of sweeps, with the real services and in a real browser, from being asked for to the end.

The screenshots lie in the folder that ADCTL_SCREENSHOTS names, for people to look at.
"""

import json
import os
import signal
import urllib.error
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import chromium
import study_cases as cases
from ad_platform.records import Study, Trial
from ad_platform.settings import Settings
from ad_platform.stack import leftovers
from ad_platform.stack.probes import wait_for
from ad_platform.states import StudyState
from ad_platform.sweeps.optuna_study import OptunaStudy, open_storage
from one_machine import Machine

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.redis, pytest.mark.timeout(400)]
SPEC = cases.spec(space=(cases.NOISE, cases.W))


def sweep(settings: Settings, name: str, trials: list[Trial]) -> Study:
    """Let Optuna have a sweep, as a sweeper does."""
    study = cases.study(SPEC, id=f"id-{name}", name=name, state=StudyState.RUNNING)
    OptunaStudy(open_storage(settings), study, SPEC).add(trials)
    return study


def look(page: "Page", name: str) -> None:
    """Keep a screenshot, for people, where they want any."""
    folder = os.environ.get("ADCTL_SCREENSHOTS")
    if folder:
        page.screenshot(path=Path(folder) / f"{name}.png")


def in_store(adctl: Machine, study: Study) -> None:
    """Let the store know the sweep too; it is held back, so that no worker takes it further."""
    from ad_platform.store.engine import open_store

    store = open_store(adctl.places.settings.database_url)
    store.studies.create(replace(study, state=StudyState.PAUSED))
    store.close()


def status_of(address: str, method: str) -> int:
    try:
        with urllib.request.urlopen(urllib.request.Request(address, method=method), timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_the_pages_start_when_they_are_asked_for_and_show_every_sweep(machine):
    adctl = machine("home with 100% odd; name")
    adctl("up", "--slots", "1", "--no-ui")
    assert adctl.services()["optuna"]["pid"] == 0
    assert "starts with: adctl ui --sweeps" in adctl("status").stdout
    for name in ("screw-noise", "second"):
        in_store(adctl, sweep(adctl.places.settings, name, cases.trials(SPEC, 20)))

    overview = adctl("ui", "--sweeps").stdout.strip()
    own = adctl("ui", "screw-noise").stdout.strip()
    assert overview.startswith("http://127.0.0.1:")
    base = overview.removesuffix("/dashboard")
    assert own.startswith(f"{base}/dashboard/studies/")
    assert adctl.json("status")["sweeps_ui"] == base
    assert f"sweeps    {base}" in adctl("status").stdout

    with chromium.page() as page:
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(overview)
        for name in ("screw-noise", "second"):
            page.get_by_text(name).first.wait_for()
        look(page, "optuna-studies")
        page.goto(own)
        page.get_by_text("screw-noise").first.wait_for()
        page.locator(
            ".js-plotly-plot .scatterlayer .point, .js-plotly-plot .scatterlayer .js-line"
        ).first.wait_for(state="attached")
        page.get_by_text("Best Trial").first.wait_for()
        look(page, "optuna-study")
        assert wrong == []

    study_id = own.rpartition("/")[2]
    assert status_of(f"{base}/api/studies/{study_id}", "DELETE") == 405
    assert status_of(f"{base}/api/studies/{study_id}", "GET") == 200

    # What dies comes back where it was, and nothing is left at the end.
    killed = adctl.services()["optuna"]["pid"]
    os.kill(killed, signal.SIGKILL)
    assert wait_for(lambda: adctl.services()["optuna"]["pid"] not in (0, killed), 60)
    assert adctl("ui", "--sweeps").stdout.strip() == overview
    again = adctl.json("up")
    assert {one["name"] for one in again["services"] if one["pid"]} == {"broker", "worker", "optuna"}
    adctl("down")
    assert leftovers.marked(adctl.home) == []
    assert "adctl up" in adctl("ui", "--sweeps", code=4).stderr
    told = json.loads(adctl.places.dashboard.read_text())
    assert overview == f"http://127.0.0.1:{told['port']}/dashboard"
