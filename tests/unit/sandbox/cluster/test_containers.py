"""What is read off a container's spec."""

from typing import Any

import pytest

from sandbox.cluster.containers import exit_code_of, is_missing, probe_fails, said_by, sources_of
from sandbox.cluster.resources import CONFIG_MAPS, SECRETS


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["true"], "0"),
        (["/bin/false"], "1"),
        (["sh", "-c", "exit 3"], "3"),
        (["sh", "-c", "echo exit; sleep 60"], ""),
        (["sh", "-c", "trap 'exit' TERM; while :; do sleep 1; done"], ""),
        ([], ""),
    ],
)
def test_a_command_that_plainly_exits_is_known(command: list[Any], code: str) -> None:
    assert exit_code_of({"command": command}) == code


@pytest.mark.parametrize(
    ("script", "lines"),
    [
        ("echo one; echo two", ["one", "two"]),
        ("echo fatal >&2; exit 3", ["fatal"]),
        ("echo 'a; b' && echo \"c\"", ["a; b", "c"]),
        ("while :; do echo tick; sleep 1; done", ["tick"]),
        ("sleep 60", []),
    ],
)
def test_a_command_says_what_it_plainly_echoes(script: str, lines: list[str]) -> None:
    assert said_by({"command": ["sh", "-c", script]}) == lines


@pytest.mark.parametrize(
    ("image", "missing"),
    [("web:missing-v2", True), ("host:5000/web:missing", True), ("missing/web:v1", False), ("web", False)],
)
def test_an_image_is_missing_by_its_tag(image: str, missing: bool) -> None:
    assert is_missing(image) is missing


def test_a_probe_fails_by_its_command_alone() -> None:
    assert probe_fails({"exec": {"command": ["false"]}})
    assert not probe_fails({"exec": {"command": ["true"]}})
    assert not probe_fails({"httpGet": {"port": 80}})


def test_what_is_optional_is_not_needed() -> None:
    spec: Any = {
        "env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}}, {"name": "B"}],
        "envFrom": [{"secretRef": {"name": "keys"}}, {"configMapRef": {"name": "none", "optional": True}}],
    }
    assert list(sources_of(spec)) == [(CONFIG_MAPS, "settings"), (SECRETS, "keys")]
