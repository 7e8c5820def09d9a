"""What the admission policies deny the remediator, whatever its roles let through; and that its real changes pass."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import json
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client

from tests.cluster.accounts import JSON_PATCH, MERGE, Answer, applied, apply, ask, connect, connect_as
from tests.cluster.forbidden import (
    FORBIDDEN,
    NOBODY,
    REVISION,
    Forbidden,
    Operation,
    annotation,
    denied_by,
    drop,
    put,
    under,
)
from tests.cluster.objects import (
    BANK,
    IMAGE,
    KINDS,
    QUIET,
    TOKEN,
    container,
    eviction,
    path_of,
    register,
    waiting_pod,
    workload,
)
from tests.cluster.rights import AGENT
from tests.contracts.cluster.backend import until

pytestmark = [pytest.mark.cluster, pytest.mark.usefixtures("laid_out")]
Clients = dict[str, client.ApiClient]
CORE = f"/api/v1/namespaces/{BANK}"
APPS = f"/apis/apps/v1/namespaces/{BANK}"
POD = f"{CORE}/pods/target"
DEPLOYMENT = f"{APPS}/deployments/target"
INSIDE = "/spec/template/spec"
OWNER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "any", "uid": "any"}


def token(value: str) -> Operation:
    return put(annotation(TOKEN), value)


NO_REPLICAS = "may not change the number of replicas"
NO_SPEC = "of a workload the remediator may change its pod template, its replicas, or a Deployment's pause only"
NO_CRON_JOB = "of a CronJob the remediator may change whether it is suspended only"
ONE_AT_A_TIME = "the remediator may change one at a time"
NO_ACCOUNT = "may not change the service account"
NO_HOST = "may not change hostNetwork, hostPID, hostIPC or hostUsers"
NO_PLACE = "may not change nodeName, runtimeClassName or priorityClassName"
NO_HOST_PATH = "may not add a hostPath volume"
NO_PRIVILEGE = "may not make a container privileged"
NO_ESCALATION = "may not allow a container to escalate"
NO_CAPABILITY = "may not add a capability"
NO_METADATA = "may not change labels, finalizers or owners"
NO_ANNOTATION = "of the annotations the remediator may change sre-agent.dev/* only"
NO_WAY_BACK = "token sre-agent.dev/token may not go back"
NO_TOKEN = "must carry its fencing token"
NO_POD = "of a pod the remediator may change annotations sre-agent.dev/* only"
NOTHING_ELSE = "and evict pods; nothing else"
FOLLOWED = "below the register's; another leader came after this one"
RISES_ONLY = "the register of tokens may only rise"
PROTECTED_NAMESPACE = "may not touch a protected namespace"
PROTECTED_OBJECT = "may not touch what is labelled sre-agent.dev/protected"

EDITS = [
    (DEPLOYMENT, put("/spec/replicas", 5), NO_REPLICAS),
    (DEPLOYMENT, put("/spec/strategy", {"type": "Recreate"}), NO_SPEC),
    (DEPLOYMENT, put("/spec/minReadySeconds", 30), NO_SPEC),
    (DEPLOYMENT, put("/spec/revisionHistoryLimit", 0), NO_SPEC),
    (DEPLOYMENT, put("/spec/progressDeadlineSeconds", 900), NO_SPEC),
    (DEPLOYMENT, put(f"{INSIDE}/serviceAccountName", "other"), NO_ACCOUNT),
    (DEPLOYMENT, put(f"{INSIDE}/automountServiceAccountToken", True), NO_ACCOUNT),
    (DEPLOYMENT, put(f"{INSIDE}/hostNetwork", True), NO_HOST),
    (DEPLOYMENT, put(f"{INSIDE}/hostPID", True), NO_HOST),
    (DEPLOYMENT, put(f"{INSIDE}/hostIPC", True), NO_HOST),
    (DEPLOYMENT, put(f"{INSIDE}/nodeName", "any"), NO_PLACE),
    (DEPLOYMENT, put(f"{INSIDE}/runtimeClassName", "any"), NO_PLACE),
    (DEPLOYMENT, put(f"{INSIDE}/priorityClassName", "system-node-critical"), NO_PLACE),
    (DEPLOYMENT, put(f"{INSIDE}/volumes", [{"name": "host", "hostPath": {"path": "/"}}]), NO_HOST_PATH),
    (DEPLOYMENT, put(f"{INSIDE}/containers/0/securityContext", {"privileged": True}), NO_PRIVILEGE),
    (DEPLOYMENT, put(f"{INSIDE}/initContainers/0/securityContext", {"privileged": True}), NO_PRIVILEGE),
    (
        DEPLOYMENT,
        put(f"{INSIDE}/containers/-", container(name="side", securityContext={"privileged": True})),
        NO_PRIVILEGE,
    ),
    (DEPLOYMENT, put(f"{INSIDE}/containers/0/securityContext/allowPrivilegeEscalation", True), NO_ESCALATION),
    (DEPLOYMENT, drop(f"{INSIDE}/containers/0/securityContext"), NO_ESCALATION),
    (
        DEPLOYMENT,
        put(f"{INSIDE}/initContainers/0/securityContext", {"capabilities": {"add": ["SYS_ADMIN"]}}),
        NO_CAPABILITY,
    ),
    (DEPLOYMENT, put("/metadata/labels/team", "other"), NO_METADATA),
    (DEPLOYMENT, put("/metadata/labels/sre-agent.dev~1protected", "false"), NO_METADATA),
    (DEPLOYMENT, drop("/metadata/labels"), NO_METADATA),
    (DEPLOYMENT, put("/metadata/finalizers", ["example.com/held"]), NO_METADATA),
    (DEPLOYMENT, put("/metadata/ownerReferences", [OWNER]), NO_METADATA),
    (DEPLOYMENT, put(annotation("team"), "other"), NO_ANNOTATION),
    (DEPLOYMENT, put(annotation("kubernetes.io/change-cause"), "any"), NO_ANNOTATION),
    (DEPLOYMENT, drop(annotation("team")), NO_ANNOTATION),
    (DEPLOYMENT, token("6"), NO_WAY_BACK),
    (DEPLOYMENT, token("07x"), NO_TOKEN),
    (DEPLOYMENT, token("-8"), NO_TOKEN),
    (DEPLOYMENT, token("9" * 30), NO_TOKEN),
    (DEPLOYMENT, drop(annotation(TOKEN)), NO_TOKEN),
    (f"{APPS}/statefulsets/target", put("/spec/replicas", 5), NO_REPLICAS),
    (f"{APPS}/daemonsets/target", put("/spec/minReadySeconds", 30), NO_SPEC),
    (POD, put("/spec/containers/0/image", "localhost/other:1"), NO_POD),
    (POD, put("/spec/activeDeadlineSeconds", 1), NO_POD),
    (POD, put("/spec/tolerations/-", {"operator": "Exists"}), NO_POD),
    (POD, put("/metadata/labels/team", "other"), NO_METADATA),
    (POD, put(annotation("team"), "other"), NO_ANNOTATION),
]
"""Edits of the kinds that the roles let through, each under a token that would do (8, the last was 7)."""

MARK = {"metadata": {"annotations": {TOKEN: "8"}}}
GUARDED = [
    (f"{CORE}/pods/guarded", PROTECTED_OBJECT),
    (f"{APPS}/deployments/guarded", PROTECTED_OBJECT),
    (f"{APPS}/deployments/inside", PROTECTED_OBJECT),
    (f"/apis/apps/v1/namespaces/{QUIET}/deployments/target", PROTECTED_OBJECT),
]

UNBOUND = [
    ("POST", f"{CORE}/pods", waiting_pod("intruder")),
    ("PATCH", f"{POD}/status", MARK),
    ("POST", f"{POD}/exec?command=id&stdout=true", None),
    ("DELETE", DEPLOYMENT, None),
    ("PATCH", f"{DEPLOYMENT}/scale", {"spec": {"replicas": 5}}),
    ("PATCH", f"{DEPLOYMENT}/status", MARK),
    ("POST", f"{CORE}/secrets", {"metadata": {"name": "intruder"}}),
    ("POST", f"{CORE}/configmaps", {"metadata": {"name": "intruder"}}),
    ("POST", f"{CORE}/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}),
    ("PATCH", f"/api/v1/namespaces/{BANK}", {"metadata": {"labels": {"a": "b"}}}),
    ("DELETE", f"/api/v1/namespaces/{BANK}", None),
    ("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/sre-agent-remediator", {"rules": []}),
    ("DELETE", "/apis/rbac.authorization.k8s.io/v1/clusterroles/sre-agent-remediator", None),
]


def edit(api: client.ApiClient, path: str, operation: Operation) -> Answer:
    about_token = operation["path"] == annotation(TOKEN)
    operations = [put("/metadata/annotations", {})] if path == POD else []
    operations += [operation] if about_token else [token("8"), operation]
    operations += (
        [put(annotation(REVISION), NOBODY)] if path == DEPLOYMENT else []
    )  # lest another policy denies it, too
    return ask(api, "PATCH", path, body=operations, kind=JSON_PATCH)


def version(api: client.ApiClient, path: str) -> str:
    return ask(api, "GET", path).body["metadata"]["resourceVersion"]


@pytest.mark.parametrize(("path", "operation", "message"), EDITS)
def test_an_edit_beyond_the_limits_is_denied_by_the_limits_name(
    path: str, operation: Operation, message: str, clients: Clients, admin: client.ApiClient
) -> None:
    before = version(admin, path)
    answer = edit(clients["remediator"], path, operation)
    assert (answer.status, version(admin, path)) == (403, before)
    assert message in answer.message


@pytest.mark.parametrize(("path", "operation", "message"), EDITS)
def test_the_same_edit_is_nobody_elses_limit(
    path: str, operation: Operation, message: str, admin: client.ApiClient
) -> None:
    assert edit(admin, f"{path}?dryRun=All", operation).status in {200, 422}


@pytest.mark.parametrize(("path", "message"), GUARDED)
def test_what_is_protected_may_not_even_be_marked(path: str, message: str, rogue: client.ApiClient) -> None:
    answer = ask(rogue, "PATCH", path, body=MARK, kind=MERGE)
    assert answer.status == 403
    assert message in answer.message


@pytest.mark.parametrize("namespace", ["kube-system", "kube-public", "kube-node-lease", AGENT])
def test_a_protected_namespace_is_out_of_reach_also_where_a_role_reaches(
    namespace: str, admin: client.ApiClient, rogue: client.ApiClient
) -> None:
    pod = waiting_pod("policy-target", namespace=namespace)
    if namespace == AGENT:
        pod = restricted(pod)
    path = f"/api/v1/namespaces/{namespace}/pods"
    assert ask(admin, "POST", path, body=pod).status == 201
    try:
        mark = ask(rogue, "PATCH", f"{path}/policy-target", body=MARK, kind=MERGE)
        evict = ask(
            rogue, "POST", f"{path}/policy-target/eviction", body=eviction("policy-target", "any", namespace=namespace)
        )
    finally:
        ask(admin, "DELETE", f"{path}/policy-target", body={"gracePeriodSeconds": 0})
    assert (mark.status, evict.status) == (403, 403)
    assert PROTECTED_NAMESPACE in mark.message
    assert PROTECTED_NAMESPACE in evict.message


def restricted(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod that the namespace's own pod security lets in."""
    held = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    outer = {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = pod["spec"] | {"securityContext": outer, "containers": [container(securityContext=held)]}
    return pod | {"spec": spec}


@pytest.mark.parametrize(("method", "path", "body"), UNBOUND)
def test_a_remediator_that_may_do_everything_by_its_roles_still_may_not(
    method: str, path: str, body: Any, rogue: client.ApiClient
) -> None:
    kind = MERGE if method == "PATCH" else "application/json"
    answer = ask(rogue, method, path, body=body, kind=kind)
    assert answer.status == 403
    assert NOTHING_ELSE in answer.message


@pytest.mark.parametrize(
    ("pod", "changed", "message"),
    [
        ("guarded", {}, "may not evict a pod labelled sre-agent.dev/protected"),
        ("target", {"deleteOptions": {}}, "must name the uid of the pod"),
        ("target", {"deleteOptions": {"preconditions": {"resourceVersion": "1"}}}, "must name the uid of the pod"),
        (
            "target",
            {"deleteOptions": {"preconditions": {"uid": "any"}, "gracePeriodSeconds": 0}},
            "may not set a grace period",
        ),
    ],
)
def test_an_eviction_beyond_the_limits_is_denied(
    pod: str, changed: dict[str, Any], message: str, clients: Clients, admin: client.ApiClient
) -> None:
    uid = ask(admin, "GET", f"{CORE}/pods/{pod}").body["metadata"]["uid"]
    body = eviction(pod, uid) | changed
    answer = ask(clients["remediator"], "POST", f"{CORE}/pods/{pod}/eviction", body=body)
    assert answer.status == 403
    assert message in answer.message
    assert ask(admin, "GET", f"{CORE}/pods/{pod}").body["metadata"]["uid"] == uid


@pytest.mark.parametrize("kind", KINDS)
def test_memory_and_the_time_of_a_restart_may_be_set_under_a_token_that_stays_or_grows(
    kind: str, clients: Clients
) -> None:
    path = f"{APPS}/{kind.lower()}s/target?dryRun=All"
    memory = put(f"{INSIDE}/containers/0/resources", {"limits": {"memory": "64Mi"}, "requests": {"memory": "64Mi"}})
    restart = put("/spec/template/metadata/annotations", {"kubectl.kubernetes.io/restartedAt": "2030-01-01T00:00:00Z"})
    for operation, token_now in ((memory, "7"), (restart, "8")):
        body = [*under(token_now, operation), put(annotation("sre-agent.dev/command"), "cmd-1")]
        assert ask(clients["remediator"], "PATCH", path, body=body, kind=JSON_PATCH).status == 200


def test_a_rollout_may_be_paused_but_not_with_anything_else(clients: Clients) -> None:
    path, pause = f"{DEPLOYMENT}?dryRun=All", put("/spec/paused", True)
    memory = put(f"{INSIDE}/containers/0/resources", {"limits": {"memory": "64Mi"}})
    alone, both = (
        ask(clients["remediator"], "PATCH", path, body=[*under("8", pause), *more], kind=JSON_PATCH)
        for more in ([], [memory])
    )
    assert (alone.status, both.status, ONE_AT_A_TIME in both.message) == (200, 403, True)


@pytest.mark.parametrize(("replicas", "status"), [(1, 200), (2, 200), (4, 200), (5, 403), (0, 403)])
def test_replicas_may_be_halved_or_doubled_at_the_most(
    replicas: int, status: int, clients: Clients, admin: client.ApiClient
) -> None:
    path = f"{APPS}/statefulsets/target"
    ask(admin, "PATCH", path, body={"spec": {"replicas": 2}}, kind=MERGE)
    body = under("8", put("/spec/replicas", replicas))
    answer = ask(clients["remediator"], "PATCH", f"{path}?dryRun=All", body=body, kind=JSON_PATCH)
    ask(admin, "PATCH", path, body={"spec": {"replicas": 0}}, kind=MERGE)
    assert (answer.status, NO_REPLICAS in answer.message) == (status, status == 403)


@pytest.mark.parametrize(
    ("operation", "status"), [(put("/spec/suspend", True), 200), (put("/spec/schedule", "* * * * *"), 403)]
)
def test_of_a_cron_job_its_suspension_alone_may_be_changed(
    operation: Operation, status: int, clients: Clients, admin: client.ApiClient
) -> None:
    template = workload("target")["spec"]["template"]
    template["spec"]["restartPolicy"] = "Never"
    spec = {"schedule": "0 3 * * *", "suspend": False, "jobTemplate": {"spec": {"template": template}}}
    metadata = {"name": "target", "namespace": BANK, "annotations": {TOKEN: "7"}}
    apply(admin, {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": metadata, "spec": spec})
    path = f"/apis/batch/v1/namespaces/{BANK}/cronjobs/target"
    answer = ask(clients["remediator"], "PATCH", path, body=under("8", operation), kind=JSON_PATCH)
    ask(admin, "DELETE", path)
    assert (answer.status, NO_CRON_JOB in answer.message) == (status, status == 403)


@pytest.fixture
def earlier(admin: client.ApiClient) -> Generator[Any]:
    """Yield the ReplicaSet of the target's earlier revision, which had another image."""
    first = revision_of(admin)
    image = put(f"{INSIDE}/containers/0/image", IMAGE.replace(":1", ":2"))
    assert ask(admin, "PATCH", DEPLOYMENT, body=[image], kind=JSON_PATCH).status == 200
    until(lambda: revision_of(admin)["metadata"]["name"] != first["metadata"]["name"])
    yield first
    apply(admin, workload("target"))


def revision_of(api: client.ApiClient) -> Any:
    """Return the newest ReplicaSet of the target."""
    found = ask(api, "GET", f"{APPS}/replicasets").body["items"]
    owned = [one for one in found if one["metadata"]["name"].startswith("target-")]
    return max(owned, key=lambda one: int(one["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))


def template_of(replica_set: Any) -> Any:
    """Return the template as a Deployment has it."""
    template = replica_set["spec"]["template"]
    labels = {name: value for name, value in template["metadata"]["labels"].items() if name != "pod-template-hash"}
    return {**template, "metadata": {**template["metadata"], "labels": labels}}


def test_a_whole_earlier_template_comes_back_under_its_own_name_alone(
    earlier: Any, clients: Clients, admin: client.ApiClient
) -> None:
    back, name, path = template_of(earlier), earlier["metadata"]["name"], f"{DEPLOYMENT}?dryRun=All"
    other = {**back, "spec": {**back["spec"], "terminationGracePeriodSeconds": 31}}
    asked = {
        "whole": under("8", put("/spec/template", back), revision=name),
        "another": under("8", put("/spec/template", other), revision=name),
        "of the present": under("8", put("/spec/template", back), revision=revision_of(admin)["metadata"]["name"]),
        "unnamed": under("8", put("/spec/template", back)),
    }

    def answered() -> dict[str, int]:
        remediator = clients["remediator"]
        return {
            words: ask(remediator, "PATCH", path, body=body, kind=JSON_PATCH).status for words, body in asked.items()
        }

    until(lambda: answered() == {"whole": 200, "another": 403, "of the present": 403, "unnamed": 403})


@pytest.mark.parametrize("edit", FORBIDDEN, ids=lambda one: one.words)
def test_what_must_not_be_is_denied_by_who_is_said_to(
    edit: Forbidden, kubeconfigs: dict[str, Path], admin: client.ApiClient
) -> None:
    api = connect(kubeconfigs["remediator"], headers={"Impersonate-User": edit.as_user} if edit.as_user else {})
    answer = ask(api, edit.method, edit.path, body=named(edit.body, admin), kind=kind_of(edit))
    api.close()
    assert (answer.status, denied_by(answer.message)) == (403, edit.by)


def named(body: Any, admin: client.ApiClient) -> Any:
    """Return a body that names the target's newest revision where it is to name one."""
    if "{revision}" not in json.dumps(body):
        return body
    return json.loads(json.dumps(body).replace("{revision}", revision_of(admin)["metadata"]["name"]))


def kind_of(edit: Forbidden) -> str:
    if edit.method != "PATCH":
        return "application/json"
    return JSON_PATCH if isinstance(edit.body, list) else MERGE


def test_a_pod_may_be_marked_and_evicted(clients: Clients, admin: client.ApiClient) -> None:
    uid = ask(admin, "GET", POD).body["metadata"]["uid"]
    remediator = clients["remediator"]
    assert ask(remediator, "PATCH", f"{POD}?dryRun=All", body=MARK, kind=MERGE).status == 200
    evicted = ask(remediator, "POST", f"{POD}/eviction?dryRun=All", body=eviction("target", uid))
    assert evicted.status == 201


def test_a_privilege_that_was_there_before_may_stay(clients: Clients, admin: client.ApiClient) -> None:
    document = workload("privileged")
    document["spec"]["template"]["spec"] |= {
        "hostNetwork": True,
        "volumes": [{"name": "v", "hostPath": {"path": "/v"}}],
    }
    document["spec"]["template"]["spec"]["containers"] = [container(securityContext={"privileged": True})]
    assert ask(admin, "POST", f"{APPS}/deployments", body=document).status == 201
    try:
        body = under("8", put(f"{INSIDE}/containers/0/resources", {"limits": {"memory": "64Mi"}}))
        path = f"{APPS}/deployments/privileged?dryRun=All"
        assert ask(clients["remediator"], "PATCH", path, body=body, kind=JSON_PATCH).status == 200
    finally:
        ask(admin, "DELETE", f"{APPS}/deployments/privileged")


@pytest.fixture
def highest(admin: client.ApiClient) -> Generator[Callable[[str], None]]:
    """Yield what sets the register, once the API server compares with it; afterwards it is low again."""
    rogue = connect_as("remediator")

    def raise_to(token: str) -> None:
        apply(admin, register(token))
        below = {"metadata": {"annotations": {TOKEN: str(int(token) - 1)}}}
        until(lambda: FOLLOWED in ask(rogue, "PATCH", f"{POD}?dryRun=All", body=below, kind=MERGE).message)

    yield raise_to
    apply(admin, register())
    until(lambda: ask(rogue, "PATCH", f"{POD}?dryRun=All", body=STALE, kind=MERGE).status == 200)
    rogue.close()


STALE = {"metadata": {"annotations": {TOKEN: "8"}}}


def test_what_comes_under_a_token_below_the_registers_is_denied_whatever_the_object_knows(
    clients: Clients, admin: client.ApiClient, highest: Callable[[str], None]
) -> None:
    remediator = clients["remediator"]
    uid = ask(admin, "GET", POD).body["metadata"]["uid"]
    paths = [POD, *(f"{APPS}/{kind.lower()}s/target" for kind in KINDS)]
    highest("9")
    for path in paths:
        answer = ask(remediator, "PATCH", f"{path}?dryRun=All", body=STALE, kind=MERGE)
        assert (answer.status, FOLLOWED in answer.message) == (403, True)
        now = {"metadata": {"annotations": {TOKEN: "9"}}}
        assert ask(remediator, "PATCH", f"{path}?dryRun=All", body=now, kind=MERGE).status == 200
    stale = ask(remediator, "POST", f"{POD}/eviction", body=eviction("target", uid, under="8"))
    assert (stale.status, FOLLOWED in stale.message) == (403, True)
    assert ask(remediator, "POST", f"{POD}/eviction?dryRun=All", body=eviction("target", uid, under="9")).status == 201
    assert ask(admin, "GET", POD).body["metadata"]["uid"] == uid


def test_an_eviction_without_a_token_is_denied(clients: Clients, admin: client.ApiClient) -> None:
    uid = ask(admin, "GET", POD).body["metadata"]["uid"]
    body = eviction("target", uid)
    del body["metadata"]["annotations"]
    answer = ask(clients["remediator"], "POST", f"{POD}/eviction?dryRun=All", body=body)
    assert (answer.status, "must carry its fencing token" in answer.message) == (403, True)


@pytest.mark.parametrize(
    ("before", "change", "message"),
    [
        ("5", {"annotations": {TOKEN: "6"}}, None),
        ("5", {"annotations": {TOKEN: "5"}}, RISES_ONLY),
        ("5", {"annotations": {TOKEN: "4"}}, RISES_ONLY),
        ("5", {"annotations": {TOKEN: None}}, RISES_ONLY),
        ("5", {"annotations": {TOKEN: "9" * 16}}, RISES_ONLY),
        ("high", {"annotations": {TOKEN: "6"}}, RISES_ONLY),
        ("5", {"annotations": {TOKEN: "6"}, "labels": {"a": "b"}}, "labels, finalizers or owners of the register"),
    ],
)
def test_the_register_may_only_rise(
    before: str, change: dict[str, Any], message: str | None, clients: Clients, admin: client.ApiClient
) -> None:
    apply(admin, register(before))
    path = f"{path_of(register())}?dryRun=All"
    answer = ask(clients["remediator"], "PATCH", path, body={"metadata": change}, kind=MERGE)
    apply(admin, register())
    assert (answer.status, message is None or message in answer.message) == (200 if message is None else 403, True)


def test_of_all_leases_the_remediator_may_create_the_register_alone(rogue: client.ApiClient) -> None:
    document = register()
    document["metadata"]["name"] = "another"
    leases = path_of(register()).rpartition("/")[0]
    answer = ask(rogue, "POST", f"{leases}?dryRun=All", body=document)
    assert (answer.status, NOTHING_ELSE in answer.message or PROTECTED_NAMESPACE in answer.message) == (403, True)


def test_without_a_register_nobody_was_followed_so_nobody_is_held(
    clients: Clients, admin: client.ApiClient, highest: Callable[[str], None]
) -> None:
    def asked(token: str) -> Answer:
        body = {"metadata": {"annotations": {TOKEN: token}}}
        return ask(clients["remediator"], "PATCH", f"{DEPLOYMENT}?dryRun=All", body=body, kind=MERGE)

    highest("9")
    ask(admin, "DELETE", path_of(register()))
    until(lambda: asked("8").status == 200)
    assert NO_WAY_BACK in asked("6").message
    for path in (POD, DEPLOYMENT):
        assert ask(admin, "PATCH", f"{path}?dryRun=All", body=MARK, kind=MERGE).status == 200


def test_no_other_account_is_held_by_the_policies() -> None:
    api = connect_as("collector")
    body = {"metadata": {"name": "free"}}
    assert ask(api, "POST", f"{CORE}/configmaps?dryRun=All", body=body).status == 201
    api.close()


def test_where_a_namespace_has_no_parameter_its_objects_are_changed_and_deleted(admin: client.ApiClient) -> None:
    """The parameters of revisions are ReplicaSets, and a Deployment deleted in the foreground outlives its own."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "bare"}}
    bare = workload("bare", namespace="bare")
    bare["spec"]["paused"] = True  # so that it gets no ReplicaSet at all
    apply(admin, space)
    try:
        apply(admin, bare)
        assert ask(admin, "PATCH", path_of(bare), body=MARK, kind=MERGE).status == 200
        ask(admin, "DELETE", path_of(bare), body={"propagationPolicy": "Foreground"})
        until(lambda: ask(admin, "GET", path_of(bare)).status == 404)
    finally:
        ask(admin, "DELETE", path_of(space))


def test_each_policy_is_well_typed_and_bound_to_deny(admin: client.ApiClient) -> None:
    found = client.AdmissionregistrationV1Api(admin)
    policies = {
        one.metadata.name: one
        for one in found.list_validating_admission_policy().items
        if one.metadata.name.startswith("sre-agent-")
    }
    bindings = {one.spec.policy_name: one.spec for one in found.list_validating_admission_policy_binding().items}
    assert policies.keys() == {one["metadata"]["name"] for one in applied() if one["kind"].endswith("AdmissionPolicy")}
    for name, policy in policies.items():
        assert policy.spec.failure_policy == "Fail"
        assert bindings[name].validation_actions == ["Deny"]
        assert not policy.status.type_checking.expression_warnings
