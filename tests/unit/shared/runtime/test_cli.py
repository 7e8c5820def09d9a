"""The command line: each command is found by its name alone, and all of them stand in the help."""

import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points

import pytest
import typer.main
from typer.testing import CliRunner

from shared.runtime.cli import GROUP, build

POINTS = list(entry_points(group=GROUP))
NOT_THERE = EntryPoint("gone", "services.gone.commands:app", GROUP)
HEAVY = {"aiokafka", "faust", "fastapi", "httpx", "kubernetes", "redis"}


def names_in(app: typer.Typer) -> set[str]:
    return set(typer.main.get_group(app).commands)


def test_each_command_has_an_entry_point_of_its_name() -> None:
    assert names_in(build()) == {point.name for point in POINTS}


@pytest.mark.parametrize("name", [point.name for point in POINTS])
def test_a_command_is_there_when_it_is_asked_for(name: str) -> None:
    assert name in names_in(build(asked=name))


@pytest.mark.parametrize("asked", ["", "--help", "playbok", "gone"])
def test_all_are_there_where_none_is_asked_for_that_is_installed(asked: str) -> None:
    assert names_in(build([*POINTS, NOT_THERE], asked=asked)) == {point.name for point in POINTS}


def test_a_part_that_is_not_installed_is_named_in_the_help() -> None:
    told = CliRunner().invoke(build([*POINTS, NOT_THERE]), ["--help"]).output
    assert "Not installed: gone." in told


def test_a_playbook_is_checked_without_clients_servers_and_clusters() -> None:
    code = "from shared.runtime.cli import build; build(asked='playbook'); import sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    loaded = set(done.stdout.split())
    assert "services.decider.playbook_commands" in loaded
    assert loaded & HEAVY == set()
