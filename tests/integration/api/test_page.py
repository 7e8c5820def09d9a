"""The page in a real browser: what somebody is about to answer stands still, whatever becomes of the incident."""

import os
from collections.abc import AsyncGenerator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.contracts.actions import RestartPod
from shared.contracts.inbox import Approval
from shared.contracts.incidents import Incident, Phase, StepRecord
from shared.contracts.stops import Way
from shared.contracts.topics import INCIDENTS, STOPS
from tests.browser import CHROMIUM, Browser, browsing
from tests.integration.api import test_api
from tests.integration.api.test_api import NOW, Stage, served

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(CHROMIUM is None and "CI" not in os.environ, reason="no Chromium is installed: make browser"),
]
stage = test_api.stage
PROPOSAL = "document.getElementById('proposal').textContent"
CHANGED = "!document.getElementById('changed').hidden"
TITLE = "document.getElementById('incident-title').textContent"
PLACE = "JSON.stringify(document.querySelector('[value=approve]').getBoundingClientRect())"
VERSION = "document.getElementById('answer').dataset.version"
MAY_BE_CLICKED = "!document.querySelector('[value=approve]').disabled"


def waiting(change: str, *, after: int = 0, phase: Phase = Phase.AWAITING_APPROVAL) -> Incident:
    """Return the incident some seconds later, which waits with a change."""
    step = StepRecord(
        step=0,
        attempt=1,
        action=RestartPod(pod="web-1", uid="uid-1"),
        command=f"cmd-{after}",
        dry_run=True,
        ordered_at=NOW,
        changes=(change,),
    )
    at = NOW + timedelta(seconds=after)
    return test_api.incident(phase).model_copy(update={"at": at, "attempt": 1 + after, "steps": (step,)})


@pytest.fixture
async def page(stage: Stage, tmp_path: Path) -> AsyncGenerator[Browser]:
    await stage.told(waiting("memory 256Mi to 384Mi"), INCIDENTS)
    async with served(stage.app) as url, browsing(f"{url}/", tmp_path / "browser") as browser:
        await browser.until("document.getElementById('proposal') !== null")
        await browser.until(f"{PROPOSAL}.includes('384Mi') && {MAY_BE_CLICKED}")
        await browser.until("document.getElementById('live').textContent === 'live'")
        yield browser


async def test_a_form_that_nobody_touches_follows_the_incident(stage: Stage, page: Browser) -> None:
    await stage.told(waiting("memory 256Mi to 8Gi", after=1), INCIDENTS)
    await page.until(f"{PROPOSAL}.includes('8Gi')")
    await stage.told(waiting("", after=2, phase=Phase.HEALED), INCIDENTS)
    await page.until("document.getElementById('answer').hidden")


@pytest.mark.parametrize("way", ["types", "points"])
async def test_what_somebody_is_about_to_answer_stands_still_and_says_that_it_has_changed(
    stage: Stage, page: Browser, way: str, tmp_path: Path
) -> None:
    if way == "types":
        await page.type("#note", "looks go")
        await page.point_at("")
    else:
        await page.point_at("[value=approve]")
    version, place = await page.evaluate(VERSION), await page.evaluate(PLACE)
    await stage.told(test_api.stop(Way.CONFIG_MAP), STOPS)
    await stage.told(waiting("memory 256Mi to 8Gi", after=1), INCIDENTS)
    await page.until(f"{CHANGED} && !document.getElementById('paused').hidden")
    await page.picture(tmp_path / "held.png")
    assert "384Mi" in await page.evaluate(PROPOSAL)
    assert (await page.evaluate(VERSION), await page.evaluate(PLACE)) == (version, place)
    assert await page.evaluate("document.getElementById('note').value") == ("looks go" if way == "types" else "")


async def test_a_click_on_what_has_changed_is_refused_and_nothing_is_approved(stage: Stage, page: Browser) -> None:
    await page.type("#token", "s3cret")
    await stage.told(waiting("memory 256Mi to 8Gi", after=1), INCIDENTS)
    await page.until(CHANGED)
    await page.click("[value=approve]")
    await page.until("document.getElementById('refusal').textContent.includes('look at it again')")
    assert stage.inbox() == []


async def test_it_is_shown_as_it_is_now_on_demand_and_can_be_clicked_a_moment_later(
    stage: Stage, page: Browser
) -> None:
    await page.type("#token", "s3cret")
    await stage.told(waiting("memory 256Mi to 8Gi", after=1), INCIDENTS)
    await page.until(CHANGED)
    await page.click("#show-now")
    await page.until(f"{PROPOSAL}.includes('8Gi')")
    assert not await page.evaluate(MAY_BE_CLICKED)
    await page.until(MAY_BE_CLICKED)
    await page.click("[value=approve]")
    await page.until("document.getElementById('answer').hidden")
    (approval,) = stage.inbox()
    assert isinstance(approval, Approval)
    assert approval.version == waiting("memory 256Mi to 8Gi", after=1).version


async def test_it_follows_again_once_it_is_left(stage: Stage, page: Browser) -> None:
    await page.point_at("[value=approve]")
    await stage.told(waiting("", after=1, phase=Phase.HEALED), INCIDENTS)
    await page.until(CHANGED)
    assert "awaiting-approval" in await page.evaluate(TITLE)
    await page.point_at("")
    await page.until(f"{TITLE}.includes('healed')")
