"""kubectl, unmodified: what a person types. With a real cluster it must be at hand."""

import json
import subprocess
from collections.abc import Callable

import pytest

from tests.contracts.cluster.backend import KUBECTL, Backend

pytestmark = pytest.mark.contract

Kubectl = Callable[..., str]


@pytest.fixture
def kubectl(backend: Backend, namespace: str) -> Kubectl:
    """Return a way to run kubectl in the test's namespace."""
    assert KUBECTL, "kubectl is not on the PATH; expected it beside a real cluster"

    def run(*words: str, given: str = "", code: int = 0) -> str:
        command = [str(KUBECTL), "--kubeconfig", str(backend.kubeconfig), "-n", namespace, *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    return run


@pytest.fixture
def web(kubectl: Kubectl, backend: Backend) -> str:
    """Roll a Deployment of one pod out, and return its manifest."""
    manifest = json.dumps(backend.deployment("web"))
    kubectl("apply", "-f", "-", given=manifest)
    kubectl("rollout", "status", "deploy/web", "--timeout=50s")
    return manifest


def test_kubectl_applies_and_sees_that_nothing_has_changed(kubectl: Kubectl, backend: Backend) -> None:
    manifest = backend.deployment("web", replicas=0)
    assert "created" in kubectl("apply", "-f", "-", given=json.dumps(manifest))
    assert "unchanged" in kubectl("apply", "-f", "-", given=json.dumps(manifest))
    manifest["spec"]["minReadySeconds"] = 1
    assert "configured" in kubectl("apply", "-f", "-", given=json.dumps(manifest))


def test_kubectl_removes_by_applying_what_is_left(kubectl: Kubectl, backend: Backend) -> None:
    manifest = backend.deployment("web", replicas=0)
    manifest["metadata"]["labels"] = {"tier": "web"}
    kubectl("apply", "-f", "-", given=json.dumps(manifest))
    del manifest["metadata"]["labels"]
    kubectl("apply", "-f", "-", given=json.dumps(manifest))
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.metadata.labels.tier}") == ""


def test_kubectl_prints_pods_as_a_table(kubectl: Kubectl, web: str) -> None:
    lines = kubectl("get", "pods").splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[1:3] for line in lines[1:]] == [["1/1", "Running"]]


def test_kubectl_prints_deployments_as_a_table(kubectl: Kubectl, web: str) -> None:
    lines = kubectl("get", "deploy").splitlines()
    assert lines[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert lines[1].split()[:4] == ["web", "1/1", "1", "1"]


def test_kubectl_gets_all_that_belongs_to_a_category(kubectl: Kubectl, web: str) -> None:
    names = kubectl("get", "all", "-o", "name").split()
    assert {name.partition("/")[0] for name in names} == {"pod", "deployment.apps", "replicaset.apps"}


def test_kubectl_knows_kinds_by_their_short_names(kubectl: Kubectl, web: str) -> None:
    assert kubectl("get", "deploy,rs", "-o", "name").split()[0] == "deployment.apps/web"


def test_kubectl_undoes_a_rollout_and_tells_its_history(kubectl: Kubectl, web: str) -> None:
    kubectl("set", "image", "deploy/web", "server=localhost/server:missing-v2")
    assert "rolled back" in kubectl("rollout", "undo", "deploy/web")
    kubectl("rollout", "status", "deploy/web", "--timeout=50s")
    assert kubectl("rollout", "history", "deploy/web").split()[-4:] == ["2", "<none>", "3", "<none>"]


def test_kubectl_restarts_a_rollout(kubectl: Kubectl, web: str) -> None:
    kubectl("rollout", "restart", "deploy/web")
    kubectl("rollout", "status", "deploy/web", "--timeout=50s")
    assert kubectl("get", "deploy", "web", "-o", "jsonpath={.status.updatedReplicas}") == "1"


def test_kubectl_pauses_and_resumes_a_rollout(kubectl: Kubectl, web: str) -> None:
    assert "paused" in kubectl("rollout", "pause", "deploy/web")
    assert "resumed" in kubectl("rollout", "resume", "deploy/web")


def test_kubectl_scales_and_waits(kubectl: Kubectl, web: str) -> None:
    assert "scaled" in kubectl("scale", "deploy/web", "--replicas=2")
    kubectl("wait", "deploy/web", "--for=jsonpath={.status.readyReplicas}=2", "--timeout=50s")


def test_kubectl_waits_for_a_condition(kubectl: Kubectl, web: str) -> None:
    assert "condition met" in kubectl("wait", "deploy/web", "--for=condition=Available", "--timeout=50s")


def test_kubectl_describes_a_pod_with_its_events(kubectl: Kubectl, web: str) -> None:
    told = kubectl("describe", "pod", "-l", "app=web")
    assert "Controlled By:  ReplicaSet/web-" in told
    assert "Started" in told.partition("Events:")[2]


def test_kubectl_prints_events(kubectl: Kubectl, web: str) -> None:
    lines = kubectl("get", "events").splitlines()
    assert lines[0].split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
    assert any("deployment/web" in line and "ScalingReplicaSet" in line for line in lines[1:])


def test_kubectl_labels_and_annotates(kubectl: Kubectl, web: str) -> None:
    kubectl("label", "deploy/web", "tier=web")
    kubectl("annotate", "deploy/web", "note=seen")
    assert kubectl("get", "deploy", "-l", "tier=web", "-o", "jsonpath={.items[0].metadata.annotations.note}") == "seen"


@pytest.mark.parametrize("kind", ["merge", "strategic", "json"])
def test_kubectl_patches(kubectl: Kubectl, web: str, kind: str) -> None:
    merge = {"metadata": {"annotations": {"note": "seen"}}}
    operations = [{"op": "add", "path": "/metadata/annotations/note", "value": "seen"}]
    body = json.dumps(operations if kind == "json" else merge)
    assert "patched" in kubectl("patch", "deploy/web", f"--type={kind}", "-p", body)


def test_kubectl_reads_logs(kubectl: Kubectl, backend: Backend) -> None:
    says = ["sh", "-c", "echo one; echo two; exit 0"]
    pod = backend.pod("says", backend.container(command=says), restartPolicy="Never")
    kubectl("create", "-f", "-", given=json.dumps(pod))
    kubectl("wait", "pod/says", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=50s")
    assert kubectl("logs", "says", "--tail=1") == "two\n"


def test_kubectl_prints_how_a_pod_fails(kubectl: Kubectl, backend: Backend) -> None:
    pod = backend.pod("lost", backend.container(image="localhost/server:missing-v2", imagePullPolicy="Never"))
    kubectl("create", "-f", "-", given=json.dumps(pod))
    reason = "{.status.containerStatuses[0].state.waiting.reason}"
    kubectl("wait", "pod/lost", f"--for=jsonpath={reason}=ErrImageNeverPull", "--timeout=50s")
    assert kubectl("get", "pod", "lost").splitlines()[1].split()[:3] == ["lost", "0/1", "ErrImageNeverPull"]


def test_kubectl_tries_without_doing(kubectl: Kubectl, backend: Backend) -> None:
    manifest = json.dumps(backend.deployment("web", replicas=0))
    assert "server dry run" in kubectl("apply", "--dry-run=server", "-f", "-", given=manifest)
    assert "NotFound" in kubectl("get", "deploy", "web", code=1)


def test_kubectl_says_what_is_not_there(kubectl: Kubectl) -> None:
    assert 'deployments.apps "none" not found' in kubectl("get", "deploy", "none", code=1)
    assert "the server doesn't have a resource type" in kubectl("get", "nothing", code=1)


def test_kubectl_deletes_and_waits_for_the_end(kubectl: Kubectl, web: str) -> None:
    assert "deleted" in kubectl("delete", "deploy/web", "--cascade=foreground")
    assert "No resources found" in kubectl("get", "pods,rs")


def test_kubectl_deletes_a_pod_by_force(kubectl: Kubectl, web: str) -> None:
    name = kubectl("get", "pods", "-o", "jsonpath={.items[0].metadata.name}")
    assert "force deleted" in kubectl("delete", "pod", name, "--grace-period=0", "--force")


def test_kubectl_names_resources_and_versions(kubectl: Kubectl) -> None:
    assert "deployments.apps" in kubectl("api-resources", "--api-group=apps", "-o", "name").split()
    assert "apps/v1" in kubectl("api-versions").split()
    assert "Server Version: v1." in kubectl("version")
