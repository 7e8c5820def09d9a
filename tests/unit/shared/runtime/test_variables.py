"""A variable that nothing reads is named: a service does not start with it, a command says so and goes on."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group

from services.api.settings import ApiSettings
from services.collector.settings import CollectorSettings
from services.decider.settings import DeciderSettings
from services.rca.settings import RcaSettings
from services.remediator.settings import RemediatorSettings
from shared.kernel.errors import ConfigError
from shared.runtime.cli import build
from shared.runtime.settings import read_settings
from shared.runtime.variables import KNOWN, PREFIX, unknown_among

ROOT = Path(__file__).resolve().parents[4]
SERVICES = (ApiSettings, CollectorSettings, DeciderSettings, RcaSettings, RemediatorSettings)
SANDBOX = {"SRE_AGENT_CACHE", "SRE_TEST_CLUSTER", "SRE_TEST_KUBECONFIG"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("SRE_DRYRUN", "did you mean SRE_DRY_RUN?"),
        ("SRE_PROTECTED_NAMESPACE", "did you mean SRE_PROTECTED_NAMESPACES?"),
        ("SRE_BRAKE_NODES_PER_HOUR", "did you mean SRE_BRAKE_NODE_PER_HOUR?"),
        ("sre_dryrun", "did you mean SRE_DRY_RUN?"),
        ("SRE_XYZZY", "SRE_XYZZY: no service and no command knows this variable"),
    ],
)
def test_a_misspelled_variable_is_named_with_what_was_meant(name: str, told: str) -> None:
    (line,) = unknown_among([name, "PATH", "HOME"])
    assert line.startswith(f"{name}: ")
    assert line.endswith(told)


@pytest.mark.parametrize("name", ["SRE_DRY_RUN", "sre_dry_run", "SRE_TEST_CLUSTER", "GEMINI_API_KEYS", "SREE_DRYRUN"])
def test_what_is_known_or_somebody_elses_is_not_named(name: str) -> None:
    assert unknown_among([name]) == []


def test_the_names_are_those_of_all_settings_and_of_all_options() -> None:
    """None is missing, which would keep a service from starting; none is left over, which would be overlooked."""
    assert settings_of_services() | options_of(build()) | SANDBOX == KNOWN


def test_each_setting_is_documented_and_no_other() -> None:
    text = (ROOT / "docs" / "operating.md").read_text()
    documented = set(re.findall(rf"\b{PREFIX}[A-Z_]+\b", text)) - {"SRE_BRAKE_"}
    assert settings_of_services() <= documented <= KNOWN


def test_a_service_does_not_start_with_a_variable_that_nothing_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRE_PROTECTED_NAMESPACE", '["bank-and-its-secret"]')
    with pytest.raises(ConfigError, match=r"SRE_PROTECTED_NAMESPACE: .* did you mean SRE_PROTECTED_NAMESPACES") as told:
        read_settings(CollectorSettings)
    assert "bank-and-its-secret" not in str(told.value)


def test_what_is_wrong_and_what_is_unknown_are_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRE_API_PORT", "many")
    monkeypatch.setenv("SRE_API_HOSTS", "0.0.0.0")  # noqa: S104 - not opened
    with pytest.raises(ConfigError, match=r"SRE_API_PORT: .*; SRE_API_HOSTS: "):
        read_settings(ApiSettings)


def test_a_service_starts_with_what_another_service_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SRE_BRAKE_NODE_PER_HOUR", "3")
    assert read_settings(CollectorSettings).cluster == "local"


def test_a_command_warns_and_goes_on() -> None:
    argv = [sys.executable, "-m", "shared.runtime.cli", "topics", "list"]
    env = {**os.environ, "SRE_KAFKA_BOOTSTRAPS": "kafka:9092"}
    done = subprocess.run(argv, check=True, capture_output=True, text=True, env=env)
    assert "sre.inbox" in done.stdout
    warning = "no service and no command knows this variable; did you mean SRE_KAFKA_BOOTSTRAP?"
    assert done.stderr == f"warning: SRE_KAFKA_BOOTSTRAPS: {warning}\n"


def settings_of_services() -> set[str]:
    fields = {name: field for service in SERVICES for name, field in service.model_fields.items()}
    return {f"{PREFIX}{name.upper()}" for name, field in fields.items() if field.validation_alias is None}


def options_of(app: typer.Typer) -> set[str]:
    return set(_options(get_group(app)))


def _options(command: TyperCommand | TyperGroup) -> Iterator[str]:
    for option in command.params:
        yield from [option.envvar] if isinstance(option.envvar, str) else option.envvar or ()
    for one in command.commands.values() if isinstance(command, TyperGroup) else ():
        assert isinstance(one, TyperCommand | TyperGroup)
        yield from _options(one)
