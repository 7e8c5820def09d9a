"""The whole system by one command: every fault heals, also while a part of it is killed, and nothing is done twice."""

import signal
from pathlib import Path

import pytest

from tests.e2e.demo_run import DemoRun

pytestmark = pytest.mark.e2e
EXPECTED = ["evict userservice", "patch balancereader", "patch frontend"]


def assert_all_healed_and_nothing_twice(run: DemoRun) -> None:
    story = "\n".join(run.lines)
    assert run.code == 0, story
    assert sum("healed" in line and "│" in line for line in run.lines) == 3, story
    assert "byte for byte the same as live" in story
    effects = run.effects()
    assert all(len(done) == 1 for done in effects.values()), effects
    done = sorted(one for some in effects.values() for one in some)
    assert [one.rpartition("-")[0].rpartition("-")[0] or one if one.startswith("evict") else one for one in done] == (
        EXPECTED
    ), effects
    assert run.left_behind() == []


async def test_the_demo_heals_all_three_faults_on_real_kafka_and_valkey(tmp_path: Path) -> None:
    run = DemoRun(tmp_path / "demo")
    await run.to_end()
    assert_all_healed_and_nothing_twice(run)
    story = "\n".join(run.lines)
    assert "Apache Kafka 4." in story
    assert "Valkey 9." in story


@pytest.mark.parametrize("victim", ["collector", "decider", "remediator", "rca", "api", "kafka", "valkey"])
async def test_a_part_that_is_killed_while_a_fault_is_made_is_restarted_and_all_heals(
    tmp_path: Path, victim: str
) -> None:
    run = DemoRun(tmp_path / "demo")
    async for line in run.follow():
        if line.startswith("1/3"):
            run.kill(victim)
    assert_all_healed_and_nothing_twice(run)
    assert any(line.startswith(f"- {victim} ended with") for line in run.lines), run.lines


async def test_the_remediator_killed_the_moment_it_is_ordered_to_act_does_it_once(tmp_path: Path) -> None:
    run = DemoRun(tmp_path / "demo")
    killed = False
    async for line in run.follow():
        if "action-ordered" in line and not killed:
            killed = True
            run.kill("remediator")
    assert killed
    assert_all_healed_and_nothing_twice(run)


async def test_interrupted_it_leaves_no_process_behind(tmp_path: Path) -> None:
    run = DemoRun(tmp_path / "demo")
    async for line in run.follow():
        if line.startswith("1/3"):
            run.interrupt(signal.SIGINT)
    assert run.code == 130, run.lines
    assert run.left_behind() == []
