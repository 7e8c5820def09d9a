"""The healed namespace as an administrator sees it, with workloads that run; and the commands about them."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from kubernetes import client

from shared.contracts.actions import Action, RestartPod, SetMemory
from shared.contracts.commands import Command
from shared.contracts.workloads import CLUSTER_SCOPE, WorkloadRef
from tests.cluster.accounts import MERGE, apply, ask
from tests.cluster.objects import BANK, TOKEN, path_of, running, waiting_pod, workload
from tests.contracts.cluster.backend import until

MEBIBYTE = 1 << 20
PODS = f"/api/v1/namespaces/{BANK}/pods"
MORE_MEMORY = SetMemory(container="server", from_bytes=64 * MEBIBYTE, to_bytes=128 * MEBIBYTE)
SOUND_IMAGE, BROKEN_IMAGE = "localhost/busybox:1", "localhost/busybox:none"
_NUMBERS = count(1)
AT_ONCE = {"gracePeriodSeconds": 0, "propagationPolicy": "Background"}
COMMAND = "sre-agent.dev/command"


@dataclass
class Bank:
    """The healed namespace, as an administrator sees it."""

    admin: client.ApiClient
    _laid: list[Any] = field(default_factory=list)

    def lay(self, document: Any) -> Any:
        """Create an object that is taken away after the test."""
        apply(self.admin, document)
        self._laid.append(document)
        return document

    def clear(self) -> None:
        """Take everything away, pods at once; return when none is left for the next test."""
        for document in reversed(self._laid):
            ask(self.admin, "DELETE", path_of(document), body=AT_ONCE)
        until(lambda: all(self._is_cleared(document["metadata"]["name"]) for document in self._laid))

    def _is_cleared(self, app: str) -> bool:
        pods = f"{PODS}?labelSelector=app%3D{app}"
        ask(self.admin, "DELETE", pods, body=AT_ONCE)
        return not ask(self.admin, "GET", pods).body["items"]

    def read(self, document: Any) -> Any:
        return ask(self.admin, "GET", path_of(document)).body

    def pods(self, app: str) -> list[Any]:
        """Return the pods of an app that are not going."""
        found = ask(self.admin, "GET", f"{PODS}?labelSelector=app%3D{app}").body["items"]
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    def run(self, kind: str, name: str) -> Any:
        """Run a workload and return it when its one pod runs."""
        document = self.lay(running(name, kind=kind))
        until(lambda: self.is_running(name))
        return document

    def run_cron_job(self, name: str) -> Any:
        """Run a job of a CronJob that does not start by itself, named after it and a number."""
        job = running(f"{name}-1", kind="Job")
        cron = {
            "apiVersion": "batch/v1",
            "kind": "CronJob",
            "metadata": {"name": name, "namespace": BANK},
            "spec": {"schedule": "0 0 1 1 *", "suspend": True, "jobTemplate": {"spec": job["spec"]}},
        }
        uid = self.read(self.lay(cron))["metadata"]["uid"]
        owner = {"apiVersion": "batch/v1", "kind": "CronJob", "name": name, "uid": uid, "controller": True}
        job["metadata"]["ownerReferences"] = [owner]
        self.lay(job)
        until(lambda: self.is_running(f"{name}-1"))
        return cron

    def is_running(self, app: str) -> bool:
        """Tell whether an app has one pod, and it runs; one that nobody schedules need not."""
        pods = self.pods(app)
        return len(pods) == 1 and (pods[0]["status"]["phase"] == "Running" or "nobody" in str(pods[0]["spec"]))

    def release(self, document: Any) -> Any:
        """Roll a broken image out, and return the Deployment when the controller has made its ReplicaSet."""
        document["spec"]["template"]["spec"]["containers"][0]["image"] = BROKEN_IMAGE
        apply(self.admin, document)
        until(lambda: self.read(document)["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2")
        return document

    def patch(self, document: Any, change: Any) -> None:
        answer = ask(self.admin, "PATCH", path_of(document), body=change, kind=MERGE)
        assert answer.status == 200, answer

    def image(self, document: Any) -> str:
        return self.read(document)["spec"]["template"]["spec"]["containers"][0]["image"]

    def limit(self, document: Any) -> str:
        return self.read(document)["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]

    def marks(self, document: Any) -> tuple[Any, Any]:
        annotations = self.read(document)["metadata"].get("annotations", {})
        return annotations.get(COMMAND), annotations.get(TOKEN)


def command(document: Any, action: Action) -> Command:
    """Return an order of its own id: the audit log then tells each one's effect."""
    now = datetime.now(UTC)
    metadata = document["metadata"]
    return Command(
        id=f"by-hand-{next(_NUMBERS)}",
        at=now,
        workload=WorkloadRef(
            kind=document["kind"], namespace=metadata.get("namespace", CLUSTER_SCOPE), name=metadata["name"]
        ),
        incident="inc-1",
        rule="rule",
        playbook="hash",
        step=0,
        attempt=1,
        action=action,
        dry_run=False,
        expires_at=now + timedelta(minutes=1),
        requested_by="test",
    )


def restart_of(pod: Any) -> RestartPod:
    return RestartPod(pod=pod["metadata"]["name"], uid=pod["metadata"]["uid"])


def pod_of(bank: Bank, *, phase: str = "Failed", kind: str = "Deployment", **metadata: Any) -> tuple[Any, Any]:
    """Return a workload, and a pod of it that nobody runs, in a phase."""
    owner = bank.lay(workload("web", kind=kind))
    uid = bank.read(owner)["metadata"]["uid"]
    document = waiting_pod("ended")
    reference = {"apiVersion": "apps/v1", "kind": kind, "name": "web", "uid": uid, "controller": True}
    document["metadata"] |= {"ownerReferences": [reference], **metadata}
    bank.lay(document)
    status = {"status": {"phase": phase}}
    assert ask(bank.admin, "PATCH", f"{path_of(document)}/status", body=status, kind=MERGE).status == 200
    return owner, bank.read(document)
