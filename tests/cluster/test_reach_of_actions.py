"""What the admission policies deny of nodes, deletions and Jobs, whatever the remediator's roles let through."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest
from kubernetes import client

from tests.cluster.accounts import MERGE, ask
from tests.cluster.bank import COMMAND, Bank
from tests.cluster.objects import BANK, IMAGE, PROTECTED, TOKEN, path_of, waiting_pod

pytestmark = pytest.mark.cluster
CORDONED = "sre-agent.dev/cordoned"
MARKS = {TOKEN: "8", COMMAND: "cmd-1"}
OURS = {**MARKS, CORDONED: "cmd-1"}
JOBS = f"/apis/batch/v1/namespaces/{BANK}/jobs"
ONLY_SCHEDULING = "of a node the remediator may change spec.unschedulable"
SOMEBODY_ELSES = "may not uncordon a node that somebody else has cordoned"
COMES_AND_GOES = "comes and goes with the remediator's own cordon"
TAKEN_OVER = "may not make the cordon of somebody else its own"


def change(*, marks: dict[str, Any] | None = None, unschedulable: bool | None = False, **more: Any) -> dict[str, Any]:
    """Return a patch of a node; one that says nothing of its scheduling for `False`."""
    spec = {} if unschedulable is False else {"unschedulable": unschedulable}
    return {"metadata": {"annotations": marks if marks is not None else MARKS}, "spec": {**spec, **more}}


@pytest.fixture
def node(bank: Bank) -> str:
    """Return the path of a node that nobody runs."""
    return path_of(bank.lay({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "of-policies"}}))


@pytest.mark.parametrize(
    ("before", "patch", "message"),
    [
        ({}, change(marks=OURS, unschedulable=True), ""),
        ({}, change(marks=MARKS), ""),
        ({}, change(marks={COMMAND: "cmd-1", CORDONED: "cmd-1"}, unschedulable=True), "must carry its fencing token"),
        ({}, change(marks=OURS), COMES_AND_GOES),
        ({}, change(marks=MARKS, unschedulable=True), COMES_AND_GOES),
        ({}, change(taints=[{"key": "a", "effect": "NoExecute"}]), ONLY_SCHEDULING),
        ({}, change(providerID="other"), ONLY_SCHEDULING),
        ({}, {"metadata": {"annotations": MARKS, "labels": {"a": "b"}}}, "may not change labels"),
        ({}, change(marks={**MARKS, "other": "any"}), "sre-agent.dev/* only"),
        ({"unschedulable": True}, change(unschedulable=None), SOMEBODY_ELSES),
        ({"unschedulable": True}, change(marks=OURS), TAKEN_OVER),
    ],
)
def test_of_a_node_only_a_cordon_of_its_own_may_be_changed(
    before: dict[str, Any],
    patch: dict[str, Any],
    message: str,
    node: str,
    admin: client.ApiClient,
    rogue: client.ApiClient,
) -> None:
    assert ask(admin, "PATCH", node, body={"spec": before}, kind=MERGE).status == 200
    answer = ask(rogue, "PATCH", f"{node}?dryRun=All", body=patch, kind=MERGE)
    assert (answer.status, message in answer.message) == (403 if message else 200, True), answer


def test_a_cordon_of_its_own_may_be_taken_back_with_its_mark_and_not_without(
    node: str, admin: client.ApiClient, rogue: client.ApiClient
) -> None:
    assert ask(rogue, "PATCH", node, body=change(marks=OURS, unschedulable=True), kind=MERGE).status == 200
    kept = ask(rogue, "PATCH", node, body=change(unschedulable=None), kind=MERGE)
    assert (kept.status, COMES_AND_GOES in kept.message) == (403, True)
    taken = ask(rogue, "PATCH", node, body=change(marks={**MARKS, CORDONED: None}, unschedulable=None), kind=MERGE)
    assert taken.status == 200


def test_a_protected_node_may_not_even_be_marked(node: str, admin: client.ApiClient, rogue: client.ApiClient) -> None:
    ask(admin, "PATCH", node, body={"metadata": {"labels": PROTECTED}}, kind=MERGE)
    answer = ask(rogue, "PATCH", f"{node}?dryRun=All", body=change(), kind=MERGE)
    assert (answer.status, "may not touch what is labelled" in answer.message) == (403, True)
    assert ask(rogue, "DELETE", node).status == 403


def pod_of(bank: Bank, *, phase: str, marks: dict[str, str] | None = None, **labels: str) -> Any:
    """Lay a pod out in a phase, and return it."""
    document = waiting_pod("ended", labels=labels)
    document["metadata"]["annotations"] = MARKS if marks is None else marks
    bank.lay(document)
    assert (
        ask(bank.admin, "PATCH", f"{path_of(document)}/status", body={"status": {"phase": phase}}, kind=MERGE).status
        == 200
    )
    return bank.read(document)


@pytest.mark.parametrize(
    ("pod", "options", "message"),
    [
        ({"phase": "Failed"}, {}, ""),
        ({"phase": "Running"}, {}, "has failed or is about to go"),
        ({"phase": "Pending"}, {}, "has failed or is about to go"),
        ({"phase": "Succeeded"}, {}, "has failed or is about to go"),
        ({"phase": "Failed"}, {"preconditions": {}}, "must name the uid"),
        ({"phase": "Failed", "marks": {COMMAND: "cmd-1"}}, {}, "must carry its fencing token"),
        ({"phase": "Failed", **PROTECTED}, {}, "may not touch what is labelled"),
    ],
)
def test_a_pod_is_deleted_only_that_has_failed_as_it_was_seen(
    pod: dict[str, Any], options: dict[str, Any], message: str, bank: Bank, rogue: client.ApiClient
) -> None:
    found = pod_of(bank, **pod)
    body = {"preconditions": {"uid": found["metadata"]["uid"]}} | options
    answer = ask(rogue, "DELETE", path_of(waiting_pod("ended")), body=body)
    assert (answer.status, message in answer.message) == (403 if message else 200, True), answer


def test_no_pods_are_deleted_by_a_selector(bank: Bank, rogue: client.ApiClient) -> None:
    pod_of(bank, phase="Failed", team="bank")
    answer = ask(rogue, "DELETE", f"/api/v1/namespaces/{BANK}/pods?labelSelector=team%3Dbank")
    assert (answer.status, "must name the uid" in answer.message) == (403, True)


def job(*, marks: dict[str, Any] | None = None, metadata: dict[str, Any] | None = None, **pod: Any) -> dict[str, Any]:
    """Return a Job as the remediator creates it, but for what is said."""
    ours = {**MARKS, "sre-agent.dev/retries": "uid"} if marks is None else marks
    spec = {"restartPolicy": "Never", "schedulerName": "nobody", "containers": [{"name": "c", "image": IMAGE}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "again", "namespace": BANK, "annotations": ours, **(metadata or {})},
        "spec": {"template": {"spec": {**spec, **pod}}},
    }


def container(**context: Any) -> dict[str, Any]:
    return {"name": "c", "image": IMAGE, "securityContext": context}


OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "any"}
NO_ACCOUNT, NO_HOST = "the namespace's default service account", "may have no host namespace"
NO_PRIVILEGE = "may have no privilege and no added capability"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (job(), ""),
        (job(marks={}), "must carry its fencing token"),
        (job(marks=MARKS), "which Job it runs again"),
        (job(metadata={"ownerReferences": [OWNER]}), "has no owners"),
        (job(metadata={"finalizers": ["example.com/held"]}), "has no owners"),
        (job(serviceAccountName="other"), NO_ACCOUNT),
        (job(automountServiceAccountToken=True), NO_ACCOUNT),
        (job(hostNetwork=True), NO_HOST),
        (job(hostPID=True), NO_HOST),
        (job(nodeName="any"), NO_HOST),
        (job(volumes=[{"name": "host", "hostPath": {"path": "/"}}]), NO_HOST),
        (job(containers=[container(privileged=True)]), NO_PRIVILEGE),
        (job(initContainers=[container(capabilities={"add": ["SYS_ADMIN"]}) | {"name": "i"}]), NO_PRIVILEGE),
    ],
)
def test_a_job_has_no_reach_beyond_a_plain_pods(
    document: dict[str, Any], message: str, bank: Bank, rogue: client.ApiClient
) -> None:
    answer = ask(rogue, "POST", f"{JOBS}?dryRun=All", body=document)
    assert (answer.status, message in answer.message) == (403 if message else 201, True), answer
