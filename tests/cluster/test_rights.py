"""What each service's account may do on a real API server, and what neither its roles nor the policies let through."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from itertools import product
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from sandbox.kubernetes.accounts import ACCOUNTS
from shared.contracts.rights import Right
from tests.cluster.accounts import MERGE, ask, connect
from tests.cluster.audit import username
from tests.cluster.objects import BANK, TOKEN, eviction, waiting_pod
from tests.cluster.rights import AGENT, granted

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("laid_out")]
Clients = dict[str, client.ApiClient]
STOP_RIGHT = Right("", "configmaps", "get")
"""Of one ConfigMap by its name, in the agent's own namespace."""
BANK_PATH = f"/api/v1/namespaces/{BANK}"
APPS = f"/apis/apps/v1/namespaces/{BANK}"
RBAC = "/apis/rbac.authorization.k8s.io/v1"


LEASES = f"/apis/coordination.k8s.io/v1/namespaces/{AGENT}/leases"
REGISTER = f"{LEASES}/sre-agent-remediator"


def role_rule() -> dict[str, Any]:
    return {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


# the right by which each is asked stands in a role or must not: no request below changes anything
POSSIBLE = [
    ("collector", "GET", "/api/v1/nodes"),
    ("collector", "GET", "/api/v1/pods"),
    ("collector", "GET", "/api/v1/events"),
    ("collector", "GET", "/apis/apps/v1/deployments"),
    ("collector", "GET", "/apis/apps/v1/replicasets"),
    ("collector", "GET", "/apis/apps/v1/statefulsets"),
    ("collector", "GET", "/apis/apps/v1/daemonsets"),
    ("collector", "GET", "/apis/batch/v1/jobs"),
    ("collector", "GET", "/api/v1/pods?watch=1&timeoutSeconds=1"),
    ("remediator", "GET", BANK_PATH),
    ("remediator", "GET", f"/api/v1/namespaces/{AGENT}"),
    ("remediator", "GET", f"{BANK_PATH}/pods"),
    ("remediator", "GET", f"{BANK_PATH}/events"),
    ("remediator", "GET", f"{APPS}/deployments/target"),
    ("remediator", "GET", f"{APPS}/replicasets"),
    ("remediator", "GET", REGISTER),
]
REFUSED = [
    ("GET", "/api/v1/secrets", None),
    ("GET", f"{BANK_PATH}/secrets", None),
    ("GET", f"{BANK_PATH}/secrets/any", None),
    ("GET", f"/api/v1/namespaces/{AGENT}/secrets", None),
    ("GET", f"{BANK_PATH}/configmaps", None),
    ("GET", f"/api/v1/namespaces/{AGENT}/configmaps/sre-agent-playbook", None),
    ("GET", f"{BANK_PATH}/serviceaccounts", None),
    ("POST", f"/api/v1/namespaces/{AGENT}/serviceaccounts/remediator/token", {"spec": {"expirationSeconds": 600}}),
    ("POST", f"{BANK_PATH}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}),
    ("POST", f"{BANK_PATH}/pods/target/exec?command=id&stdout=true", None),
    ("POST", f"{BANK_PATH}/pods/target/attach?stdout=true", None),
    ("GET", f"{BANK_PATH}/pods/target/portforward?ports=80", None),
    ("GET", f"{BANK_PATH}/pods/target/proxy/", None),
    ("POST", f"{BANK_PATH}/pods", waiting_pod("intruder")),
    ("DELETE", f"{BANK_PATH}/pods", None),
    ("PATCH", f"{BANK_PATH}/pods/target/status", {"status": {"phase": "Failed"}}),
    ("PATCH", f"{BANK_PATH}/pods/target/ephemeralcontainers", {"spec": {"ephemeralContainers": []}}),
    ("DELETE", f"{APPS}/deployments/target", None),
    ("PATCH", f"{APPS}/deployments/target/scale", {"spec": {"replicas": 0}}),
    ("PATCH", f"{APPS}/replicasets/target", {"spec": {"replicas": 0}}),
    ("POST", f"{APPS}/deployments", {}),
    ("POST", f"/apis/batch/v1/namespaces/{BANK}/jobs", {}),
    ("PATCH", "/api/v1/nodes/any", {"spec": {"unschedulable": True}}),
    ("DELETE", "/api/v1/nodes/any", None),
    ("GET", "/api/v1/nodes/any/proxy/pods", None),
    ("PATCH", f"/api/v1/namespaces/{BANK}", {"metadata": {"labels": {"a": "b"}}}),
    ("DELETE", f"/api/v1/namespaces/{BANK}", None),
    ("PATCH", "/apis/apps/v1/namespaces/kube-system/deployments/any", {"metadata": {"annotations": {TOKEN: "1"}}}),
    ("PATCH", f"/apis/apps/v1/namespaces/{AGENT}/deployments/remediator", {"metadata": {"annotations": {TOKEN: "1"}}}),
    ("PATCH", "/apis/apps/v1/namespaces/default/deployments/any", {"metadata": {"annotations": {TOKEN: "1"}}}),
    ("POST", "/api/v1/namespaces/default/pods/any/eviction", eviction("any", "any", namespace="default")),
    ("PATCH", f"{RBAC}/clusterroles/sre-agent-remediator", {"rules": [role_rule()]}),
    ("PATCH", f"{RBAC}/clusterroles/sre-agent-collector", {"rules": [role_rule()]}),
    ("POST", f"{RBAC}/clusterrolebindings", {}),
    ("POST", f"{RBAC}/namespaces/{BANK}/rolebindings", {}),
    ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/sre-agent-remediator-reach", None),
    (
        "DELETE",
        "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/sre-agent-remediator-reach",
        None,
    ),
    ("DELETE", f"/apis/policy/v1/namespaces/{BANK}/poddisruptionbudgets/any", None),
    ("GET", LEASES, None),
    ("GET", f"{LEASES}/any", None),
    ("PATCH", f"{LEASES}/any", {"metadata": {"annotations": {TOKEN: "9"}}}),
    ("DELETE", REGISTER, None),
    ("POST", f"/apis/coordination.k8s.io/v1/namespaces/{BANK}/leases", {"metadata": {"name": "sre-agent-remediator"}}),
]
READS = ["/api/v1/pods", "/api/v1/nodes", f"{BANK_PATH}/pods", f"{BANK_PATH}/events", f"{APPS}/deployments/target"]


def review(api: client.ApiClient, right: Right, *, namespace: str = "") -> bool:
    """Ask the API server whether an account may use a right."""
    resource, _, subresource = right.resource.partition("/")
    asked = {"group": right.group, "resource": resource, "subresource": subresource, "verb": right.verb}
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": {**asked, "namespace": namespace}},
    }
    return ask(api, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", body=body).body["status"][
        "allowed"
    ]


@pytest.mark.parametrize("account", ACCOUNTS)
def test_an_account_is_known_by_its_own_name(account: str, clients: Clients) -> None:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    told = ask(clients[account], "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body=body)
    assert told.body["status"]["userInfo"]["username"] == username(account)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_api_server_grants_what_the_roles_say(account: str, clients: Clients) -> None:
    of_the_bank = {right for right in granted()[account] - {STOP_RIGHT} if right.resource != "leases"}
    assert all(review(clients[account], right, namespace=BANK) for right in of_the_bank)


def test_the_remediator_is_bound_to_the_healed_namespace_alone(clients: Clients) -> None:
    elsewhere = (AGENT, "kube-system", "default", "")
    events = Right("", "events", "create")
    looked_at = {  # where new pods have room, and whether a volume can grow
        Right("", "nodes", "get"),
        Right("", "nodes", "list"),
        Right("", "pods", "list"),
        Right("storage.k8s.io", "storageclasses", "get"),
    }
    granted_elsewhere = {
        (namespace, right)
        for namespace in elsewhere
        for right in granted()["remediator"]
        if review(clients["remediator"], right, namespace=namespace)
    }
    raised = {(AGENT, Right("coordination.k8s.io", "leases", "create"))}  # get and patch are of one Lease alone
    own = raised | {(AGENT, Right("", "namespaces", "get"))}
    assert granted_elsewhere == {*product(elsewhere, looked_at), ("default", events)} | own


def test_the_remediator_may_look_at_its_own_stop_and_at_no_other_config_map(clients: Clients) -> None:
    config_maps = f"/api/v1/namespaces/{AGENT}/configmaps"
    assert ask(clients["remediator"], "GET", f"{config_maps}/sre-agent-stop").status == 404
    assert ask(clients["remediator"], "GET", config_maps).status == 403


def test_the_remediator_may_look_at_a_node_that_it_knows_by_name(clients: Clients) -> None:
    assert ask(clients["remediator"], "GET", "/api/v1/nodes/any").status == 404


@pytest.mark.parametrize(("account", "method", "path"), POSSIBLE)
def test_what_a_service_needs_is_possible(account: str, method: str, path: str, clients: Clients) -> None:
    assert ask(clients[account], method, path).status == 200


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize(("method", "path", "body"), REFUSED)
def test_what_no_service_needs_is_refused(account: str, method: str, path: str, body: Any, clients: Clients) -> None:
    kind = MERGE if method == "PATCH" else "application/json"
    answer = ask(clients[account], method, path, body=body, kind=kind)
    assert answer.status == 403
    assert f'User "{username(account)}" cannot' in answer.message


@pytest.mark.parametrize("account", ["decider", "rca", "api"])
@pytest.mark.parametrize("path", READS)
def test_who_does_not_speak_to_the_cluster_may_not_even_read(account: str, path: str, clients: Clients) -> None:
    assert ask(clients[account], "GET", path).status == 403


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/services", "/apis/apps/v1/deployments"])
def test_the_remediator_lists_but_pods_of_other_namespaces(path: str, clients: Clients) -> None:
    assert ask(clients["remediator"], "GET", path).status == 403


@pytest.mark.parametrize("account", ACCOUNTS)
def test_nobody_may_take_another_name(account: str, kubeconfigs: dict[str, Path]) -> None:
    for header, value in (("Impersonate-User", "admin"), ("Impersonate-User", username("remediator"))):
        api = connect(kubeconfigs[account], headers={header: value})
        assert ask(api, "GET", f"{BANK_PATH}/pods").status == 403
        api.close()
