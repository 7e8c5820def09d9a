"""The commands on the log: what they print of a file, and their exit codes."""

import asyncio
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.decider.adapters.export_file import write_export
from services.decider.adapters.exporting import export_incident
from services.decider.commands import app
from services.decider.core.exports import Export
from shared.kernel.errors import ConfigError
from tests.unit.services.decider.core.build import PLAYBOOK, container, health
from tests.unit.services.decider.world import World, healed


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [*map(str, words)])


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    path = tmp_path / "incident.jsonl"
    write_export(path, asyncio.run(_healed_incident()))
    return path


async def _healed_incident() -> Export:
    world = await healed()
    return await export_incident(world.archive, world.incident.id)


def reasons(told: Result) -> list[str]:
    return [json.loads(line)["reason"] for line in told.stdout.splitlines()]


def test_a_file_is_decided_again_and_said_to_be_the_same(exported: Path) -> None:
    told = run("replay", exported, "-o", "json")
    assert told.exit_code == 0, told.output
    assert reasons(told) == ["incident-opened", "action-ordered", "action-applied", "verified"]
    assert "4 decisions replayed, 1 findings: byte for byte the same as live" in told.stderr


def test_a_file_whose_decisions_are_others_fails(exported: Path) -> None:
    text = exported.read_text(encoding="utf-8").replace('"reason":"verified"', '"reason":"recovered"')
    exported.write_text(text, encoding="utf-8")
    told = run("replay", exported)
    assert told.exit_code == 1
    assert "2 differences" in told.stderr


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--from", "2026-01-01T12:00:02Z"], ["action-applied", "verified"]),
        (["--from", "2026-01-01T13:00:02+01:00"], ["action-applied", "verified"]),
        (["--until", "2026-01-01T12:00:02Z"], ["incident-opened", "action-ordered"]),
        (["--from-offset", "5:3"], ["action-applied", "verified"]),
        (["--from-offset", "5:3", "--until-offset", "5:3"], ["action-applied"]),
        (["--from-offset", "0:0"], []),
    ],
)
def test_only_a_part_is_printed_though_all_is_decided(exported: Path, options: list[str], expected: list[str]) -> None:
    told = run("replay", exported, "-o", "json", *options)
    assert reasons(told) == expected
    assert told.exit_code == 0


@pytest.mark.parametrize(
    ("option", "text", "expected"),
    [
        (
            "--from",
            "yesterday",
            "--from: expected a moment with its zone such as 2026-11-25T10:00:00Z, found",
        ),
        ("--until", "2026-01-01T12:00:02", "--until: expected a moment with its zone"),
        ("--from-offset", "5", "--from-offset: expected PARTITION:OFFSET such as 3:1500, found '5'"),
    ],
)
def test_a_part_that_is_none_is_for_the_user_to_mend(exported: Path, option: str, text: str, expected: str) -> None:
    with pytest.raises(ConfigError, match=expected):
        CliRunner().invoke(app, ["replay", str(exported), option, text], catch_exceptions=False)


def test_what_retention_took_is_said(exported: Path) -> None:
    text = exported.read_text(encoding="utf-8").replace('"begins":0', '"begins":7')
    exported.write_text(text, encoding="utf-8")
    assert "partition 5: begins at offset 7; what was open before it is not known" in run("replay", exported).stderr


def test_a_file_that_is_none_is_for_the_user_to_mend(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a readable export"):
        CliRunner().invoke(app, ["replay", str(tmp_path / "none.jsonl")], catch_exceptions=False)


def playbook(folder: Path, text: str) -> Path:
    path = folder / "new.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_playbook_that_would_have_decided_the_same_passes(exported: Path, tmp_path: Path) -> None:
    told = run("replay", exported, "--playbook", playbook(tmp_path, PLAYBOOK + "# more\n"))
    assert (told.exit_code, told.stdout) == (0, "it would have decided the same\n")


def test_what_another_playbook_would_have_done_is_told_by_rule_and_fails(exported: Path, tmp_path: Path) -> None:
    new = playbook(tmp_path, PLAYBOOK.replace("spec:", "spec:\n  mode: dry-run"))
    told = run("replay", exported, "--playbook", new)
    assert told.exit_code == 1
    for part in ("preview-ordered", "-1", "1 incidents end in what nobody knows", "2 more follow from these"):
        assert part in told.stdout
    document = json.loads(run("replay", exported, "--playbook", new, "-o", "json").stdout)
    assert document["rules"] == [
        {
            "rule": "crash",
            "incidents": {"added": 0, "lost": 0, "changed": 1},
            "decisions": {"added": 0, "lost": 2, "changed": 1},
            "actions": {"added": 0, "lost": 1, "changed": 0},
        }
    ]
    first = document["decisions"][0]
    assert (first["before"]["reason"], first["after"]["reason"], first["follows"]) == (
        "action-ordered",
        "preview-ordered",
        False,
    )
    assert document["incidents"][0]["unknown"] is True


def test_only_what_lies_in_a_time_is_compared(exported: Path, tmp_path: Path) -> None:
    new = playbook(tmp_path, PLAYBOOK.replace("healthy_for: 30s", "healthy_for: 20s"))
    assert run("replay", exported, "--playbook", new, "--from", "2026-01-01T12:00:20Z").exit_code == 1
    assert run("replay", exported, "--playbook", new, "--until", "2026-01-01T12:00:20Z").exit_code == 0


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (["--from-offset", "5:3"], "has no offset; expected --from"),
        (["--check"], "--check holds the log against itself; expected either this or --playbook"),
    ],
)
def test_what_would_have_been_has_no_offsets_and_is_not_held_against_itself(
    exported: Path, tmp_path: Path, option: list[str], expected: str
) -> None:
    words = ["replay", str(exported), "--playbook", str(playbook(tmp_path, PLAYBOOK)), *option]
    with pytest.raises(ConfigError, match=expected):
        CliRunner().invoke(app, words, catch_exceptions=False)


def test_an_incident_of_a_file_is_explained_for_people_and_for_programs(exported: Path) -> None:
    header = json.loads(exported.read_text(encoding="utf-8").splitlines()[0])
    told = run("explain", header["incident"], "--file", exported)
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-1] == "it stands at: healed by verified"
    document = json.loads(run("explain", header["incident"], "--file", exported, "-o", "json").stdout)
    assert [entry["type"] for entry in document["entries"]] == ["finding", "result", "wakeup"]
    signal = document["opening"]["signal"]["id"]
    assert json.loads(run("explain", signal, "-f", exported, "-o", "json").stdout) == document["opening"]


async def _forgone_incident() -> Export:
    world = World()
    await world.load(PLAYBOOK.replace("cooldown: 5m", "cooldown: 5m\n      mode: shadow"))
    await world.tell(health(healthy=False, seconds=0), seconds=0)
    await world.tell(container(seconds=1), seconds=1)
    forgone = world.incident.id
    await world.tell(container(reason="Slow", seconds=5), seconds=5)  # another incident is open when it is told
    await world.tell(health(healthy=True, seconds=10), seconds=10)
    await world.pass_to(60)
    return await export_incident(world.archive, forgone)


def test_scores_are_told_of_what_rules_were_kept_from_ordering(tmp_path: Path) -> None:
    path = tmp_path / "incident.jsonl"
    write_export(path, asyncio.run(_forgone_incident()))
    told = run("replay", path, "--scores", "-o", "json")
    assert told.exit_code == 0, told.output
    [(rule, score)] = json.loads(told.stdout).items()
    assert (rule, score["needless"], score["missed"], score["precision"]) == ("crash", 1, 0, 0.0)
    shown = run("replay", path, "--scores")
    assert "0 % (0 of 1)" in shown.stdout
    assert json.loads(run("replay", path, "--scores", "-o", "json", "--until", "2026-01-01T12:00:05Z").stdout) == {}


def test_the_story_of_an_incident_holds_what_was_told_long_after_its_end(tmp_path: Path) -> None:
    path = tmp_path / "incident.jsonl"
    found = asyncio.run(_forgone_incident())
    write_export(path, found)
    told = run("explain", found.header.incident, "--file", path)
    assert "needless" in told.stdout
    assert "it stands at: closed by shadow-done" in told.stdout
