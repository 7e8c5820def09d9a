"""The whole pipeline on a real cluster: each fault is detected, decided, acted on and proven, and nothing twice."""

# the client's models are typed in part only
# pyright: basic

import json
import re

import pytest

from sandbox.kubernetes.accounts import HEALED_NAMESPACE
from sandbox.stack.local import SERVICES
from tests.cluster.campaign import PLAIN_NAMESPACE, Campaign, is_well, table_of
from tests.cluster.faults import FAULTS, Fault
from tests.cluster.workloads import CONTAINER

pytestmark = pytest.mark.cluster
EACH_FAULT = pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
ACCOUNTS_OF_OURS = "system:serviceaccount:sre-agent:"
REMEDIATOR = f"{ACCOUNTS_OF_OURS}remediator"
_COMMAND = re.compile(r'"sre-agent\.dev/command": "([^"]+)"|~1command", "value": "([^"]+)"')


@EACH_FAULT
def test_a_fault_is_healed_or_handed_over_by_the_actions_that_it_needs(campaign: Campaign, fault: Fault) -> None:
    ended = campaign.ended[fault.name]
    assert (ended.end, ended.actions) == (fault.end, list(fault.actions)), f"{table_of(campaign)}\n{ended.incidents}"
    assert ended.report["incident"] == ended.incidents[0]["id"]


@EACH_FAULT
def test_afterwards_the_cluster_itself_says_so(campaign: Campaign, fault: Fault) -> None:
    assert is_well(campaign.real, HEALED_NAMESPACE, fault) == (fault.end == "healed")
    if fault.kind == "Deployment":
        found = campaign.real.apps.read_namespaced_deployment(fault.name, HEALED_NAMESPACE)
        container = next(one for one in found.spec.template.spec.containers if one.name == CONTAINER)
        assert (container.image, container.command) == ("bank/contacts:v1", None)
        assert (container.env, container.resources.requests["cpu"]) == (None, "1m")
        assert container.resources.limits["memory"] == fault.memory


def test_the_log_of_the_container_before_is_in_the_evidence(campaign: Campaign) -> None:
    cited = json.dumps(campaign.ended["crash"].report["citations"])
    assert "fatal: exit code 3 was asked for" in cited
    assert "previous" in cited


def test_a_node_that_is_silent_is_handed_to_a_person_and_nothing_is_done_to_it(campaign: Campaign) -> None:
    assert (campaign.node.end, campaign.node.actions) == ("escalated", [])


_BESIDE = {"pods", "events", "leases"}
"""What is written beside the change: the mark of a pod, what is told of it, and the register of leaders."""


def test_every_command_changed_the_cluster_once(campaign: Campaign) -> None:
    effects: dict[str, list[str]] = {}
    marked = ""
    for entry in campaign.real.audited():
        written = entry["user"]["username"] == REMEDIATOR and _is_written(entry)
        if not written:
            continue
        command = _COMMAND.search(json.dumps(entry.get("requestObject")))
        marked = next(filter(None, command.groups())) if command else marked
        reference = entry["objectRef"]
        if reference.get("subresource") == "eviction" or reference["resource"] not in _BESIDE:
            effects.setdefault(marked, []).append(f"{entry['verb']} {reference['resource']}/{reference['name']}")
    ordered = {step["command"]: step for ended in campaign.ended.values() for step in ended.steps}
    ours = {command: done for command, done in effects.items() if command in ordered}  # other tests act here as well
    assert {command: done for command, done in ours.items() if len(done) > 1} == {}
    assert ours.keys() == {command for command, step in ordered.items() if step["outcome"] == "applied"}


def _is_written(entry: dict) -> bool:
    is_change = entry["verb"] in {"create", "patch", "update", "delete"}
    return is_change and entry["responseStatus"]["code"] < 300 and "dryRun" not in entry["requestURI"]


def test_nobody_of_ours_touched_the_twins(campaign: Campaign) -> None:
    ours = [one for one in campaign.real.audited() if one["user"]["username"].startswith(ACCOUNTS_OF_OURS)]
    there = [one for one in ours if one.get("objectRef", {}).get("namespace") == PLAIN_NAMESPACE]
    assert [one["requestURI"] for one in there if one["verb"] not in {"get", "list", "watch"}] == []


def test_the_topics_decide_the_same_again(campaign: Campaign) -> None:
    code, told = campaign.replay
    assert code == 0, told
    assert "byte for byte the same as live" in told


def test_prometheus_scrapes_our_services_the_api_server_and_the_pods(campaign: Campaign) -> None:
    assert campaign.metrics == {*SERVICES, "kubernetes", "pods"}
