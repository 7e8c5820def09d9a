"""What is broken on the real cluster, as data: the fault, what must become of it, how the cluster must look then."""

# the client's models are typed in part only
# pyright: basic

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster.real import Real
from tests.cluster.workloads import CONTAINER, MEMORY, workload

CUE = "sandbox.sre-agent.dev"
Break = Callable[[Real, str, str], None]
"""Breaks the workload of a name in a namespace."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault of one workload, which has the fault's name.

    `actions` are those that are really carried out, in their order; `end` is the incident's last phase.
    """

    name: str
    told: str
    make: Break
    actions: tuple[str, ...]
    end: str = "healed"
    kind: str = "Deployment"
    config_map: str = ""
    memory: str = MEMORY

    @property
    def manifest(self) -> dict[str, Any]:
        """Return the workload before it is broken."""
        return workload(self.name, kind=self.kind, config_map=self.config_map)

    @property
    def needs_config_map(self) -> bool:
        """Tell whether a ConfigMap of its own must be there first."""
        return bool(self.config_map)


def pods_of(real: Real, namespace: str, name: str) -> list[Any]:
    """Return the pods of a workload that are not on their way out."""
    pods = real.core.list_namespaced_pod(namespace, label_selector=f"app={name}").items
    return [pod for pod in pods if pod.metadata.deletion_timestamp is None]


def _cue(cue: str, value: str) -> Break:
    """Break one pod until it is replaced."""

    def make(real: Real, namespace: str, name: str) -> None:
        pod = pods_of(real, namespace, name)[0]
        body = {"metadata": {"annotations": {f"{CUE}/{cue}": value}}}
        real.core.patch_namespaced_pod(pod.metadata.name, namespace, body)

    return make


def _release(container: dict[str, Any] | None = None, **pod: Any) -> Break:
    """Roll out a release whose container, or whose pod, differs in some fields."""

    def make(real: Real, namespace: str, name: str) -> None:
        spec: dict[str, Any] = {"containers": [{"name": CONTAINER, **(container or {})}], **pod}
        real.apps.patch_namespaced_deployment(name, namespace, {"spec": {"template": {"spec": spec}}})

    return make


def _release_with_cue(cue: str, value: str) -> Break:
    def make(real: Real, namespace: str, name: str) -> None:
        annotations = {"metadata": {"annotations": {f"{CUE}/{cue}": value}}}
        real.apps.patch_namespaced_deployment(name, namespace, {"spec": {"template": annotations}})

    return make


def _release_that_hangs(real: Real, namespace: str, name: str) -> None:
    """Roll out a release that no node has room for, with a deadline that is soon over."""
    greedy = {"containers": [{"name": CONTAINER, "resources": {"requests": {"cpu": "64"}}}]}
    spec = {"progressDeadlineSeconds": 5, "template": {"spec": greedy}}
    real.apps.patch_namespaced_deployment(name, namespace, {"spec": spec})


def _lose_config(real: Real, namespace: str, name: str) -> None:
    """Delete the ConfigMap that a running workload needs, and its pod: the next one can't start."""
    real.core.delete_namespaced_config_map(name, namespace)
    real.core.delete_namespaced_pod(pods_of(real, namespace, name)[0].metadata.name, namespace)


_FILL = "bank-server & dd if=/dev/zero of=/scratch/full bs=1M count=50 2>/dev/null; wait"
_SCRATCH = {"name": "scratch", "emptyDir": {"sizeLimit": "10Mi"}}
_UNASKED = {probe: {"initialDelaySeconds": 15} for probe in ("readinessProbe", "livenessProbe")}
"""On a busy machine a container that starts is called unready before its pod is evicted, which is another fault."""
_FAILING_INIT = {"name": "migrate", "image": "bank/contacts:v1", "command": ["sh", "-c", "echo no schema >&2; exit 3"]}

FAULTS = (
    Fault(
        name="crash",
        told="a container exits with code 3 until its pod is replaced",
        make=_cue("exit-code", "3"),
        actions=("restart-pod",),
    ),
    Fault(
        name="stateful-crash",
        told="the same in a StatefulSet",
        make=_cue("exit-code", "4"),
        actions=("restart-pod",),
        kind="StatefulSet",
    ),
    Fault(
        name="out-of-memory",
        told="a release needs 200Mi and has a limit of 128Mi",
        make=_release_with_cue("needs-memory", "200Mi"),
        actions=("set-memory",),
        memory="256Mi",
    ),
    Fault(
        name="liveness",
        told="the liveness probe fails until the pod is replaced",
        make=_cue("fails-probe", "liveness"),
        actions=("restart-pod",),
    ),
    Fault(
        name="readiness",
        told="the readiness probe fails until the pod is replaced",
        make=_cue("fails-probe", "readiness"),
        actions=("restart-pod",),
    ),
    Fault(
        name="never-ready",
        told="the pods of a release never become ready",
        make=_release({"readinessProbe": {"httpGet": {"path": "/absent", "port": 8080}, "periodSeconds": 1}}),
        actions=("restart-pod", "rollback"),
    ),
    Fault(
        name="image-absent",
        told="a release names an image that does not exist",
        make=_release({"image": "localhost/absent:1"}),
        actions=("rollback",),
    ),
    Fault(
        name="config-absent",
        told="a release needs a ConfigMap that is not there",
        make=_release({"envFrom": [{"configMapRef": {"name": "absent"}}]}),
        actions=("rollback",),
    ),
    Fault(
        name="config-lost",
        told="the ConfigMap of a running workload is deleted, and its pod",
        make=_lose_config,
        actions=(),
        end="escalated",
        config_map="config-lost",
    ),
    Fault(
        name="wrong-command",
        told="a release runs a command that does not exist",
        make=_release({"command": ["/bin/absent"]}),
        actions=("rollback",),
    ),
    Fault(
        name="failing-init",
        told="a release has an init container that fails",
        make=_release(initContainers=[_FAILING_INIT]),
        actions=("restart-pod", "rollback"),
    ),
    Fault(
        name="hung-rollout",
        told="a release asks for more processors than any node has",
        make=_release_that_hangs,
        actions=("rollback",),
    ),
    Fault(
        name="evicted",
        told="a release fills its volume, so that the node evicts its pods",
        make=_release(
            {
                "command": ["sh", "-c", _FILL],
                "volumeMounts": [{"name": "scratch", "mountPath": "/scratch"}],
                **_UNASKED,
            },
            volumes=[_SCRATCH],
        ),
        actions=("rollback",),
    ),
    Fault(
        name="errors",
        told="a release answers with errors, which Prometheus measures",
        make=_release({"env": [{"name": "ERRORS_RATIO", "value": "0.9"}]}),
        actions=("rollback",),
    ),
    Fault(
        name="queue",
        told="a release lets a queue grow, and Alertmanager sends an alert",
        make=_release({"env": [{"name": "QUEUE_LENGTH", "value": "900"}]}),
        actions=("rollback",),
    ),
)
