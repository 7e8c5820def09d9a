"""What is deployed fits what the services read: settings by their names, topics, roles without a right too many."""

import json
import re
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.api.settings import ApiSettings
from services.collector.handlers import OWNERS
from services.collector.main import KINDS
from services.collector.settings import CollectorSettings
from services.decider.settings import DeciderSettings
from services.rca.settings import RcaSettings
from services.remediator.settings import RemediatorSettings
from shared.contracts.actions import RIGHTS
from shared.contracts.rights import Right, granted_to
from shared.runtime.settings import ServiceSettings
from shared.runtime.variables import PREFIX
from tests.cluster.audit import username
from tests.cluster.forbidden import FORBIDDEN, table
from tests.cluster.rights import granted

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
CHANGED = ("deployments", "statefulsets", "daemonsets")


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
    assert template["enableServiceLinks"] is False, "a Service named sre-… would look like settings"
    speaks_to_the_cluster = service in {"collector", "remediator"}
    assert template["automountServiceAccountToken"] is speaks_to_the_cluster


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_one_that_is_not_ready_is_reached_by_its_service_where_its_health_is_asked(service: str) -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in kubernetes() if "metadata" in one}
    spec = found["Service", service]["spec"]
    assert spec["publishNotReadyAddresses"] is True
    asked = {
        one["name"]: one["value"]
        for one in found["Deployment", "api"]["spec"]["template"]["spec"]["containers"][0]["env"]
    }["SRE_API_SERVICES"]
    (port,) = [one["port"] for one in spec["ports"] if one["name"] == "health"]
    assert f"{service}=http://{service}:{port}" in asked.split(",")


def test_each_service_has_an_account_of_its_own_and_a_token_only_to_speak_to_the_cluster() -> None:
    found = {(one["kind"], one["metadata"]["name"]): one for one in kubernetes() if "metadata" in one}
    for service in SETTINGS:
        assert found["Deployment", service]["spec"]["template"]["spec"]["serviceAccountName"] == service
        has_token = found["ServiceAccount", service].get("automountServiceAccountToken", True)
        assert has_token is (granted()[service] != set())


def test_the_collectors_roles_are_what_its_code_asks_for() -> None:
    watched = {right_on(kind.path, verb) for kind in KINDS for verb in ("list", "watch")}
    asked = {right_on(path, "get") for path in OWNERS.values()}
    assert granted()["collector"] == watched | asked


THINGS = ("set-cpu", "scale-hpa", "expand-volume", "restore-service")


def test_the_remediators_roles_are_what_its_actions_need() -> None:
    """The API server's audit log proves the same of the code (tests/cluster/test_uses.py)."""
    changed = {Right("apps", resource, verb) for resource in CHANGED for verb in ("get", "patch")}
    owners = {Right("apps", "replicasets", "get"), Right("batch", "jobs", "get"), Right("batch", "cronjobs", "get")}
    between = {Right("apps", "replicasets", "list"), Right("batch", "jobs", "list")}
    evidence = {
        Right("", "pods", "list"),
        Right("", "pods/log", "get"),
        Right("", "events", "list"),
        Right("", "nodes", "get"),
    }
    told = {Right("", "events", "create")}
    brake = {Right("", "nodes", "list"), Right("policy", "poddisruptionbudgets", "list")}
    eviction = {Right("", "pods", "get"), Right("", "pods", "patch"), Right("", "pods/eviction", "create")}
    sizers = {Right("autoscaling.k8s.io", "verticalpodautoscalers", "list")}
    predicted = {
        Right("", "resourcequotas", "list"),
        Right("", "limitranges", "list"),
        Right("autoscaling", "horizontalpodautoscalers", "list"),
    }
    deletion = {Right("", "pods", "delete")}
    register = {Right("coordination.k8s.io", "leases", verb) for verb in ("get", "patch", "create")}
    stops = {Right("", "namespaces", "get"), Right("", "configmaps", "get")}
    things = frozenset(chain(*(RIGHTS[one] for one in THINGS)))
    switched = {Right("batch", "cronjobs", "patch"), Right("autoscaling", "horizontalpodautoscalers", "list")}
    changing = things | changed | switched | owners | between | evidence | eviction | deletion | told
    assert granted()["remediator"] == changing | register | brake | stops | sizers | predicted


OPTIONAL = {
    "nodes.yaml": {"cordon", "uncordon", "drain"},
    "jobs.yaml": {"retry-job", "run-job"},
    "revisions.yaml": set[str](),
}
"""What each optional binding lets the remediator do."""


def optional(name: str) -> list[Any]:
    return list(yaml.safe_load_all((ROOT / "deploy" / "kubernetes" / "optional" / name).read_text()))


@pytest.mark.parametrize(("name", "actions"), OPTIONAL.items())
def test_an_optional_binding_gives_its_actions_what_they_need_and_nothing_more(name: str, actions: set[str]) -> None:
    shipped = granted()["remediator"]
    added = {*chain(*granted_to("remediator", [*kubernetes(), *optional(name)]).values())}
    needed = {right for action in actions for right in RIGHTS[action]}
    assert needed <= added
    assert added - shipped <= needed


def test_what_is_bound_by_option_is_not_bound_as_shipped() -> None:
    by_option = {action for actions in OPTIONAL.values() for action in actions}
    assert {path.name for path in (ROOT / "deploy" / "kubernetes" / "optional").iterdir()} == OPTIONAL.keys()
    lacking = {action for action, rights in RIGHTS.items() if not rights <= granted()["remediator"]}
    assert by_option <= lacking


@pytest.mark.parametrize("service", ["decider", "rca", "api"])
def test_who_does_not_speak_to_the_cluster_has_no_right(service: str) -> None:
    assert granted()[service] == set()


def right_on(path: str, verb: str) -> Right:
    _, root, *rest = path.split("/")
    return Right(rest[0] if root == "apis" else "", [one for one in rest if one != "{}"][-1], verb)


def all_there_is() -> list[Any]:
    return [*kubernetes(), *chain(*map(optional, OPTIONAL))]


def policies() -> list[Any]:
    return [one for one in all_there_is() if one["kind"] == "ValidatingAdmissionPolicy"]


def test_each_policy_holds_the_remediator_alone_fails_closed_and_is_bound_to_deny() -> None:
    bound = {one["spec"]["policyName"]: one["spec"] for one in all_there_is() if one["kind"].endswith("PolicyBinding")}
    for policy in policies():
        assert policy["spec"]["failurePolicy"] == "Fail"
        assert [one["expression"] for one in policy["spec"]["matchConditions"]] == [
            f'request.userInfo.username == "{username("remediator")}"'
        ]
        assert bound[policy["metadata"]["name"]]["validationActions"] == ["Deny"]


def test_a_parameter_that_is_missing_denies_nobody() -> None:
    """It is looked up before the conditions that tell whose request it is: denying would hold every account."""
    bindings = [one["spec"] for one in all_there_is() if one["kind"].endswith("PolicyBinding")]
    told = [one["paramRef"]["parameterNotFoundAction"] for one in bindings if "paramRef" in one]
    assert told == ["Allow"] * 4


def test_each_limit_of_a_policy_says_what_it_forbids_and_is_refused_as_forbidden() -> None:
    limits = [limit for policy in policies() for limit in policy["spec"]["validations"]]
    messages = [limit["message"] for limit in limits]
    assert len(set(messages)) == len(messages)
    assert {limit["reason"] for limit in limits} == {"Forbidden"}


def test_the_threat_model_shows_each_edit_that_the_real_api_server_is_asked_for() -> None:
    assert table() in (ROOT / "docs" / "threat-model.md").read_text()
    assert len(FORBIDDEN) > 20


def test_the_policies_protect_the_namespaces_that_the_remediator_protects_by_itself() -> None:
    text = (ROOT / "deploy" / "kubernetes" / "admission.yaml").read_text()
    listed = re.search(r'request\.\?namespace\.orValue\(""\) in (\[[^]]*\])', text)
    assert listed is not None
    assert set(json.loads(listed[1])) == RemediatorSettings.model_fields["protected_namespaces"].default


def test_each_key_is_mounted_by_whom_it_is_for_alone() -> None:
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounts = {name: " ".join(one.get("volumes", [])) for name, one in compose.items()}
    assert {name for name in SETTINGS if "signing:" in mounts[name]} == {"decider"}
    assert {name for name in SETTINGS if "checking:" in mounts[name]} == {"remediator"}
    assert {name for name in SETTINGS if "records:" in mounts[name]} == {"remediator"}
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in kubernetes() if one["kind"] == "Deployment"
    }
    secrets = {name: {one.get("secret", {}).get("secretName") for one in pod["volumes"]} for name, pod in pods.items()}
    assert {name for name, mounted in secrets.items() if "command-signing" in mounted} == {"decider"}
    assert {name for name, mounted in secrets.items() if "command-checking" in mounted} == {"remediator"}
    assert {name for name, mounted in secrets.items() if "record-signing" in mounted} == {"remediator"}


@pytest.mark.parametrize("service", sorted(SETTINGS))
def test_what_a_service_cannot_do_without_is_set(service: str) -> None:
    needed = {f"{PREFIX}{name.upper()}" for name, one in SETTINGS[service].model_fields.items() if one.is_required()}
    compose = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"][service]["environment"]
    pods = {
        one["metadata"]["name"]: one["spec"]["template"]["spec"] for one in kubernetes() if one["kind"] == "Deployment"
    }
    set_there = {one["name"] for one in pods[service]["containers"][0].get("env", [])}
    assert needed <= set(compose)
    assert needed <= set_there


def test_what_is_applied_by_kustomize_is_all_there_is() -> None:
    directory = ROOT / "deploy" / "kubernetes"
    listed = yaml.safe_load((directory / "kustomization.yaml").read_text())["resources"]
    assert set(listed) == {path.name for path in directory.glob("*.yaml")} - {"kustomization.yaml"}


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
