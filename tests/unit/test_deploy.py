"""What is deployed fits what the services read: settings by their names, topics, roles without a right too many."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from services.api.settings import ApiSettings
from services.collector.settings import CollectorSettings
from services.decider.settings import DeciderSettings
from services.rca.settings import RcaSettings
from services.remediator.settings import RemediatorSettings
from shared.runtime.settings import PREFIX, ServiceSettings

ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, type[ServiceSettings]] = {
    "api": ApiSettings,
    "collector": CollectorSettings,
    "decider": DeciderSettings,
    "rca": RcaSettings,
    "remediator": RemediatorSettings,
}
# set for all services alike; those that do not need them ignore them
COMMON = {"SRE_REDIS_URL"}


def names_of(service: str) -> set[str]:
    fields = SETTINGS[service].model_fields
    return {str(one.validation_alias or f"{PREFIX}{name.upper()}") for name, one in fields.items()} | COMMON


def kubernetes() -> list[Any]:
    files = sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))
    return [one for path in files for one in yaml.safe_load_all(path.read_text())]


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_compose_sets_only_what_the_service_reads(service: str) -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    assert set(compose["services"][service]["environment"]) <= names_of(service)


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_manifests_set_only_what_the_service_reads_and_run_without_privileges(service: str) -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in kubernetes() if "metadata" in one}
    template = found["Deployment", service]["spec"]["template"]["spec"]
    container = template["containers"][0]
    names = set(found["ConfigMap", "sre-agent"]["data"]) | {one["name"] for one in container.get("env", [])}
    assert names <= names_of(service)
    assert template["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    speaks_to_the_cluster = service in {"collector", "remediator"}
    assert template["automountServiceAccountToken"] is speaks_to_the_cluster


def test_no_role_may_read_secrets_write_everything_or_execute() -> None:
    rules = [rule for one in kubernetes() if one["kind"] in {"Role", "ClusterRole"} for rule in one["rules"]]
    resources = {resource for rule in rules for resource in rule["resources"]}
    verbs = {verb for rule in rules for verb in rule["verbs"]}
    assert resources.isdisjoint({"*", "secrets", "configmaps", "pods/exec", "pods/attach"})
    assert verbs <= {"get", "list", "watch", "patch", "create"}


def test_only_the_remediator_may_change_something() -> None:
    for one in kubernetes():
        if one["kind"] == "ClusterRole" and "remediator" not in one["metadata"]["name"]:
            assert {verb for rule in one["rules"] for verb in rule["verbs"]} <= {"get", "list", "watch"}


def test_the_bank_is_deployed_whole() -> None:
    text = (ROOT / "deploy" / "bank" / "bank.yaml").read_text()
    names = {one["metadata"]["name"] for one in yaml.safe_load_all(text)}
    assert {"frontend", "userservice", "contacts", "ledgerwriter", "balancereader", "transactionhistory"} <= names


@pytest.mark.parametrize("path", ["docker-compose.yml", "deploy", "requirements", "pyproject.toml", "Makefile"])
def test_no_file_names_a_package_registry(path: str) -> None:
    found = ROOT / path
    files = [one for one in found.rglob("*") if one.is_file()] if found.is_dir() else [found]
    told = "\n".join(one.read_text() for one in files)
    assert "--index-url" not in told.replace("--no-emit-index-url", "")
    assert "/simple" not in told
