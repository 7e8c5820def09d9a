"""kubectl, where it is at hand (the report's header says so): apply, get, rollout, scale, describe, delete."""

import json
import subprocess

import pytest

from tests.contracts.cluster.backend import KUBECTL, Backend

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("kubectl", [KUBECTL] if KUBECTL else [])
def test_kubectl_cannot_tell(kubectl: str, backend: Backend, namespace: str) -> None:
    def run(*words: str, given: str = "") -> str:
        command = [kubectl, "--kubeconfig", str(backend.kubeconfig), "-n", namespace, *words]
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    manifest = json.dumps(backend.deployment("web", replicas=2))
    assert "created" in run("apply", "-f", "-", given=manifest)
    assert "unchanged" in run("apply", "-f", "-", given=manifest)
    assert "successfully rolled out" in run("rollout", "status", "deploy/web", "--timeout=50s")
    lines = run("get", "pods").splitlines()
    assert lines[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert [line.split()[1:3] for line in lines[1:]] == [["1/1", "Running"]] * 2
    run("set", "image", "deploy/web", "server=localhost/server:missing-v2")
    assert "rolled back" in run("rollout", "undo", "deploy/web")
    run("rollout", "status", "deploy/web", "--timeout=50s")
    assert run("rollout", "history", "deploy/web").split()[-4:] == ["2", "<none>", "3", "<none>"]
    run("scale", "deploy/web", "--replicas=1")
    run("rollout", "status", "deploy/web", "--timeout=50s")
    assert "Pulled" in run("describe", "pod", "-l", "app=web") or "Started" in run("get", "events")
    assert run("api-resources", "--api-group=apps", "-o", "name").split()
    assert "deleted" in run("delete", "deploy/web")
