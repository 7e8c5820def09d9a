"""What the remediator's own credentials must not do, as data: each with who denies it, its roles or which policy."""

import re
from dataclasses import dataclass
from typing import Any

from tests.cluster.jobs import JOBS, job, made_of, template
from tests.cluster.objects import BANK, PROTECTED, TOKEN, container, eviction, register, waiting_pod, workload

ROLES = "its roles"
REVISION = "sre-agent.dev/revision"
HEAD = ("edit, by the remediator's own credentials", "denied by")
_CORE, _APPS = f"/api/v1/namespaces/{BANK}", f"/apis/apps/v1/namespaces/{BANK}"
_POD, _DEPLOYMENT = f"{_CORE}/pods/target", f"{_APPS}/deployments/target"
_RBAC, _POLICIES = "/apis/rbac.authorization.k8s.io/v1", "/apis/admissionregistration.k8s.io/v1"
_AGENT = "/api/v1/namespaces/sre-agent"
_LEASES = "/apis/coordination.k8s.io/v1/namespaces/sre-agent/leases"
_REGISTER = f"{_LEASES}/sre-agent-remediator"
_ELSEWHERE = "/apis/apps/v1/namespaces/default/deployments/any"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_REACH = "sre-agent-remediator-reach"
_INSIDE = "/spec/template/spec"
_FIRST = f"{_INSIDE}/containers/0"
Operation = dict[str, Any]


@dataclass(frozen=True)
class Forbidden:
    """A request that must be denied, and by whom; a list as body is a JSON Patch, anything else merges."""

    words: str
    by: str
    method: str
    path: str
    body: Any = None
    as_user: str = ""


def put(path: str, value: Any) -> Operation:
    """Return an operation that sets a field."""
    return {"op": "add", "path": path, "value": value}


def drop(path: str) -> Operation:
    """Return an operation that takes a field away."""
    return {"op": "remove", "path": path}


def annotation(name: str) -> str:
    """Return the path of an annotation."""
    return f"/metadata/annotations/{name.replace('/', '~1')}"


def under(token: str, *operations: Operation, revision: str = "") -> list[Operation]:
    """Return a change under a token, of a template that a revision is named for."""
    named = [put(annotation(REVISION), revision)] if revision else []
    return [put(annotation(TOKEN), token), *named, *operations]


def _template(words: str, by: str, *operations: Operation, kind: str = "deployments", revision: str = "") -> Forbidden:
    return Forbidden(words, by, "PATCH", f"{_APPS}/{kind}/target", under("8", *operations, revision=revision))


def _evicted(words: str, by: str, pod: str, body: dict[str, Any]) -> Forbidden:
    return Forbidden(words, by, "POST", f"{_CORE}/pods/{pod}/eviction", body)


def _another_lease() -> dict[str, Any]:
    document = register("8")
    document["metadata"]["name"] = "another"
    return document


NOBODY = "target-nobody"
"""A revision that is named and is not there."""
_TOKENLESS = eviction("target", "any") | {"metadata": {"name": "target", "namespace": BANK}}
_MARK = {"metadata": {"annotations": {TOKEN: "8"}}}
FORBIDDEN = (
    _template("more replicas", "templates", put("/spec/replicas", 5)),
    _template("no history of revisions", "templates", put("/spec/revisionHistoryLimit", 0)),
    _template("another service account", "templates", put(f"{_INSIDE}/serviceAccountName", "other"), revision=NOBODY),
    _template("the host's network", "templates", put(f"{_INSIDE}/hostNetwork", True), revision=NOBODY),
    _template(
        "a hostPath volume",
        "templates",
        put(f"{_INSIDE}/volumes", [{"name": "host", "hostPath": {"path": "/"}}]),
        revision=NOBODY,
    ),
    _template(
        "a privileged container",
        "templates",
        put(f"{_FIRST}/securityContext", {"privileged": True}),
        revision=NOBODY,
    ),
    _template(
        "one more capability",
        "templates",
        put(f"{_INSIDE}/initContainers/0/securityContext", {"capabilities": {"add": ["SYS_ADMIN"]}}),
        revision=NOBODY,
    ),
    _template("a Deployment's image, of no revision", "changes", put(f"{_FIRST}/image", "localhost/evil:1")),
    _template("a Deployment's command", "changes", put(f"{_FIRST}/command", ["sh"])),
    _template("a Deployment's environment", "changes", put(f"{_FIRST}/env", [{"name": "A", "value": "b"}])),
    _template("a container beside the others", "changes", put(f"{_INSIDE}/containers/-", container(name="side"))),
    _template(
        "a volume of a Secret", "changes", put(f"{_INSIDE}/volumes", [{"name": "s", "secret": {"secretName": "s"}}])
    ),
    _template(
        "a device beside memory and processors", "changes", put(f"{_FIRST}/resources", {"limits": {"a.b/c": "1"}})
    ),
    _template("a label of the template", "changes", put("/spec/template/metadata/labels/team", "other")),
    _template(
        "a StatefulSet's image, whatever revision it names",
        "changes",
        put(f"{_FIRST}/image", "localhost/evil:1"),
        kind="statefulsets",
        revision=NOBODY,
    ),
    _template("a DaemonSet's command", "changes", put(f"{_FIRST}/command", ["sh"]), kind="daemonsets"),
    _template(
        "an image, named as that of an earlier revision",
        "revisions",
        put(f"{_FIRST}/image", "localhost/evil:1"),
        revision="{revision}",
    ),
    _template(
        "taking the protection away by a label", "marks", put("/metadata/labels/sre-agent.dev~1protected", "false")
    ),
    _template("a finalizer", "marks", put("/metadata/finalizers", ["example.com/held"])),
    _template("another's annotation", "marks", put(annotation("team"), "other")),
    Forbidden("a token that goes back", "marks", "PATCH", _DEPLOYMENT, [put(annotation(TOKEN), "6")]),
    Forbidden("a change without a token", "marks", "PATCH", _DEPLOYMENT, [drop(annotation(TOKEN))]),
    Forbidden("a mark on what is protected", "reach", "PATCH", f"{_APPS}/deployments/guarded", _MARK),
    Forbidden(
        "a pod's image",
        "pods",
        "PATCH",
        _POD,
        [put("/metadata/annotations", {TOKEN: "8"}), put("/spec/containers/0/image", "localhost/evil:1")],
    ),
    _evicted("evicting a protected pod", "protected-pods", "guarded", eviction("guarded", "any")),
    _evicted(
        "evicting whichever pod has the name", "evictions", "target", eviction("target", "any") | {"deleteOptions": {}}
    ),
    _evicted("evicting without a token", "evictions", "target", _TOKENLESS),
    _evicted(
        "evicting without its time to end",
        "evictions",
        "target",
        eviction("target", "any") | {"deleteOptions": {"preconditions": {"uid": "any"}, "gracePeriodSeconds": 0}},
    ),
    Forbidden(
        "an Event in another's name",
        "reach",
        "POST",
        f"{_CORE}/events",
        {
            "metadata": {"generateName": "e-"},
            "involvedObject": {"kind": "Pod", "name": "target", "namespace": BANK},
            "reason": "Healthy",
            "type": "Normal",
        },
    ),
    Forbidden(
        "a register of tokens that does not rise",
        "register",
        "PATCH",
        _REGISTER,
        {"metadata": {"annotations": {TOKEN: "0"}}},
    ),
    Forbidden("another Lease beside the register", "reach", "POST", _LEASES, _another_lease()),
    Forbidden("deleting the register", ROLES, "DELETE", _REGISTER),
    Forbidden("deleting a pod that has not failed", "deletions", "DELETE", _POD),
    Forbidden("deleting all pods", ROLES, "DELETE", f"{_CORE}/pods"),
    Forbidden("a pod of its own", ROLES, "POST", f"{_CORE}/pods", waiting_pod("intruder")),
    Forbidden("a Job, where that is not bound by option", ROLES, "POST", JOBS, made_of(template())),
    Forbidden("a command in a container", ROLES, "POST", f"{_POD}/exec?command=id&stdout=true"),
    Forbidden("attaching to a container", ROLES, "POST", f"{_POD}/attach?stdout=true"),
    Forbidden("forwarding a port", ROLES, "POST", f"{_POD}/portforward?ports=80"),
    Forbidden("a container for debugging", ROLES, "PATCH", f"{_POD}/ephemeralcontainers", {"spec": {}}),
    Forbidden("a pod's status", ROLES, "PATCH", f"{_POD}/status", {"status": {"phase": "Failed"}}),
    Forbidden("deleting a Deployment", ROLES, "DELETE", _DEPLOYMENT),
    Forbidden("replacing a Deployment by another (PUT)", ROLES, "PUT", _DEPLOYMENT, workload("target")),
    Forbidden("a Deployment of another namespace", ROLES, "PATCH", _ELSEWHERE, _MARK),
    Forbidden("reading a Secret", ROLES, "GET", f"{_CORE}/secrets/any"),
    Forbidden("a Secret", ROLES, "POST", f"{_CORE}/secrets", {"metadata": {"name": "intruder"}}),
    Forbidden("the playbook", ROLES, "PATCH", f"{_AGENT}/configmaps/sre-agent-playbook", {"data": {}}),
    Forbidden("a token of its own account", ROLES, "POST", f"{_AGENT}/serviceaccounts/remediator/token", {"spec": {}}),
    Forbidden("a token of another account", ROLES, "POST", f"{_CORE}/serviceaccounts/default/token", {"spec": {}}),
    Forbidden("its own role", ROLES, "PATCH", f"{_RBAC}/clusterroles/sre-agent-remediator", {"rules": []}),
    Forbidden(
        "its role in one more namespace",
        ROLES,
        "POST",
        f"{_RBAC}/namespaces/default/rolebindings",
        {
            "metadata": {"name": "more"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "sre-agent-remediator"},
            "subjects": [{"kind": "ServiceAccount", "name": "remediator", "namespace": "sre-agent"}],
        },
    ),
    Forbidden("a policy that holds it", ROLES, "DELETE", f"{_POLICIES}/validatingadmissionpolicies/{_REACH}"),
    Forbidden("what binds a policy to it", ROLES, "DELETE", f"{_POLICIES}/validatingadmissionpolicybindings/{_REACH}"),
    Forbidden("a webhook", ROLES, "POST", f"{_POLICIES}/mutatingwebhookconfigurations", {"metadata": {"name": "w"}}),
    Forbidden("a custom resource definition", ROLES, "DELETE", f"{_CRDS}/any"),
    Forbidden("a node", ROLES, "DELETE", "/api/v1/nodes/any"),
    Forbidden("a label of the namespace", ROLES, "PATCH", f"/api/v1/namespaces/{BANK}", {"metadata": {"labels": {}}}),
    Forbidden("speaking as an administrator", ROLES, "GET", f"{_CORE}/pods", as_user="admin"),
)


def _created(words: str, by: str, body: dict[str, Any]) -> Forbidden:
    return Forbidden(f"where Jobs may be run, {words}", by, "POST", f"{JOBS}?dryRun=All", body)


def _pod(cron: dict[str, Any], **more: Any) -> dict[str, Any]:
    """Return what the pods of a template are, but for what is said."""
    told = cron["spec"]["jobTemplate"]["spec"]["template"]
    return told | {"spec": told["spec"] | more}


_WHOLE = template()
_LABELLED = {**_WHOLE["spec"]["jobTemplate"]["spec"]["template"], "metadata": {"labels": {"app": "other"}}}
_ENDLESS = template("endless", job={"activeDeadlineSeconds": None})
_GUARDED = template("guarded")
_GUARDED["metadata"]["labels"] = PROTECTED
_PRIVATE = template("private", pod={"serviceAccountName": "tools"})
_OWNED = made_of(_WHOLE)
_OWNED["metadata"]["ownerReferences"] = [{"apiVersion": "batch/v1", "kind": "CronJob", "name": "reindex", "uid": "any"}]
_NOTED = made_of(_WHOLE)
_NOTED["metadata"]["annotations"] |= {"example.com/queue": "fast"}
TEMPLATES = (_WHOLE, _ENDLESS, _PRIVATE, _GUARDED)
"""The CronJobs that the requests to create Jobs speak of."""
FORBIDDEN_JOBS = (
    _created("one that says not where it is from", "jobs", job("any")),
    _created(
        "a template's with another image",
        "job-templates",
        made_of(_WHOLE, template=_pod(_WHOLE, containers=[container(image="localhost/evil:1")])),
    ),
    _created(
        "a template's with another command",
        "job-templates",
        made_of(_WHOLE, template=_pod(_WHOLE, containers=[container(command=["sh"])])),
    ),
    _created("a template's with other labels of its pods", "job-templates", made_of(_WHOLE, template=_LABELLED)),
    _created("a template's with a later deadline", "job-templates", made_of(_WHOLE, activeDeadlineSeconds=6000)),
    _created("a template's with more pods at once", "job-templates", made_of(_WHOLE, parallelism=5, completions=5)),
    _created("a protected template's", "job-templates", made_of(_GUARDED)),
    _created("a template's that sets no deadline", "jobs", made_of(_ENDLESS)),
    _created("a template's under a service account of its own", "jobs", made_of(_PRIVATE)),
    _created("a template's with an owner", "jobs", _OWNED),
    _created("a template's with another's annotation", "jobs", _NOTED),
)
"""What must not be where deploy/kubernetes/optional/jobs.yaml is bound."""


def denied_by(message: str) -> str:
    """Return which policy denied what was asked, by its short name, or that the roles did."""
    found = re.search(r"ValidatingAdmissionPolicy 'sre-agent-remediator-([a-z-]+)'", message)
    if found is not None:
        return found[1]
    return ROLES if 'User "system:serviceaccount:sre-agent:remediator" cannot' in message else message


def table() -> str:
    """Return all of it in Markdown, as docs/threat-model.md has it."""
    asked = (*FORBIDDEN, *FORBIDDEN_JOBS)
    lines = (f"| {one.words} | {one.by if one.by == ROLES else f'policy `{one.by}`'} |" for one in asked)
    return "\n".join((f"| {' | '.join(HEAD)} |", "| --- | --- |", *lines))
