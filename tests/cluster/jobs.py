"""Jobs in the healed namespace, whose pods nobody runs, and the CronJobs that are templates of such."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from copy import deepcopy
from typing import Any

from tests.cluster.accounts import ask
from tests.cluster.bank import Bank
from tests.cluster.objects import BANK, TOKEN, container

JOBS = f"/apis/batch/v1/namespaces/{BANK}/jobs"


def job(name: str, **metadata: Any) -> dict[str, Any]:
    """Return a Job whose pods nobody runs, and that may run for no more than a second."""
    spec = {"containers": [container()], "restartPolicy": "Never", "schedulerName": "nobody"}
    labels = {"app": "again"}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": BANK, "labels": {"team": "bank"}, **metadata},
        "spec": {"activeDeadlineSeconds": 1, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }


def has_failed(found: Any) -> bool:
    """Tell whether a Job has failed for good."""
    return any(one["type"] == "Failed" and one["status"] == "True" for one in found["status"].get("conditions", []))


def jobs(bank: Bank) -> list[str]:
    """Return the names of the Jobs that are there."""
    return [one["metadata"]["name"] for one in ask(bank.admin, "GET", JOBS).body["items"]]


def template(name: str = "reindex", *, job: Any = None, pod: Any = None, **spec: Any) -> dict[str, Any]:
    """Return a suspended CronJob; `job` says more of its Jobs (None takes away), `pod` of their pods."""
    inner = {
        "activeDeadlineSeconds": 60,
        "backoffLimit": 1,
        "podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]},
        "template": {
            "metadata": {"labels": {"app": "again"}, "annotations": {"kept": "yes"}},
            "spec": {"containers": [_TOOL], "restartPolicy": "Never", "schedulerName": "nobody", **(pod or {})},
        },
    }
    said = {name: value for name, value in (inner | (job or {})).items() if value is not None}
    told = {"metadata": {"labels": {"team": "bank"}}, "spec": said}
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": name, "namespace": BANK},
        "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": told, **spec},
    }


def made_of(cron: Any, **changed: Any) -> dict[str, Any]:
    """Return a Job of a template as the remediator creates it, but for what is changed of its spec."""
    told = deepcopy(cron["spec"]["jobTemplate"])
    name = cron["metadata"]["name"]
    annotations = {
        TOKEN: "8",
        "sre-agent.dev/command": "cmd-1",
        "sre-agent.dev/cronjob": name,
        "cronjob.kubernetes.io/instantiate": "manual",
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"{name}-made", "namespace": BANK, "annotations": annotations, **told["metadata"]},
        "spec": told["spec"] | changed,
    }


_TOOL = container(
    env=[{"name": "A", "value": "b"}, {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
    resources={"limits": {"memory": "64Mi"}},
)
