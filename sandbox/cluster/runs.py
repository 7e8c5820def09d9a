"""The containers of a pod as its kubelet knows them, and the status that they add up to; pure."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sandbox.cluster.documents import Document, Json, ReadOnly, rows, section, stamp, text, whole
from sandbox.cluster.names import image_id
from sandbox.cluster.plane import condition, settled
from sandbox.cluster.pods import quality_of

FIRST_BACKOFF = timedelta(seconds=10)
_HOST = "192.168.0.1"


@dataclass(slots=True)
class Run:
    """One container; `life` counts what has become of it, so that timers of an earlier life are void."""

    name: str
    prepares: bool = False
    state: Document = field(default_factory=dict[str, Json])
    last: Document = field(default_factory=dict[str, Json])
    image: str = ""
    container_id: str = ""
    restarts: int = 0
    ready: bool = False
    backoff: timedelta = FIRST_BACKOFF
    life: int = 0
    log: list[str] = field(default_factory=list[str])
    previous: list[str] = field(default_factory=list[str])

    @property
    def is_running(self) -> bool:
        """Tell whether it runs."""
        return "running" in self.state

    @property
    def has_ended_well(self) -> bool:
        """Tell whether it has ended, and without a fault."""
        return "terminated" in self.state and not whole(self.state, "terminated", "exitCode")

    def wait(self, reason: str, message: str = "") -> None:
        """Wait for something."""
        self.state = {"waiting": {"reason": reason, "message": message} if message else {"reason": reason}}


def runs_of(pod: ReadOnly) -> list[Run]:
    """Return the containers of a pod that has just come to its node, in the order in which they begin."""
    preparing = [Run(text(one, "name"), prepares=True) for one in rows(pod, "spec", "initContainers")]
    return [*preparing, *(Run(text(one, "name")) for one in rows(pod, "spec", "containers"))]


def next_to_prepare(runs: Sequence[Run]) -> Run | None:
    """Return the container that has to end well before the pod goes on; None once all have."""
    return next((run for run in runs if run.prepares and not run.has_ended_well), None)


def is_restarted(pod: ReadOnly, run: Run, code: int) -> bool:
    """Tell whether a container that exits with this code is started again."""
    policy = text(pod, "spec", "restartPolicy", default="Always")
    if run.prepares:
        return bool(code) and policy != "Never"
    return policy == "Always" or (policy == "OnFailure" and bool(code))


def status_of(pod: ReadOnly, runs: Sequence[Run], *, address: str, now: datetime) -> Document:
    """Return the status of a pod."""
    known = rows(pod, "status", "conditions")
    kept = [one for one in known if text(one, "type") == "DisruptionTarget"]
    phase = phase_of(pod, runs)
    status: Document = {
        "phase": phase,
        "conditions": [*kept, *settled(_conditions(runs, phase, now), known)],
        "containerStatuses": [_container(run) for run in runs if not run.prepares],
        "hostIP": _HOST,
        "hostIPs": [{"ip": _HOST}],
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": text(pod, "status", "startTime", default=stamp(now)),
        "qosClass": quality_of(pod),
    }
    preparing: list[Json] = [_container(run) for run in runs if run.prepares]
    return {**status, "initContainerStatuses": preparing} if preparing else status


def phase_of(pod: ReadOnly, runs: Sequence[Run]) -> str:
    """Return the phase of a pod."""
    policy = text(pod, "spec", "restartPolicy", default="Always")
    preparing, lasting = ([run for run in runs if run.prepares is first] for first in (True, False))
    if policy == "Never" and any(_has_failed(run) for run in preparing):
        return "Failed"
    if next_to_prepare(runs) is not None:
        return "Pending"
    if policy != "Always" and all("terminated" in run.state for run in lasting):
        if not any(map(_has_failed, lasting)):
            return "Succeeded"
        return "Failed" if policy == "Never" else "Running"
    return "Running" if any(run.container_id for run in lasting) else "Pending"


def _has_failed(run: Run) -> bool:
    return "terminated" in run.state and not run.has_ended_well


def _conditions(runs: Sequence[Run], phase: str, now: datetime) -> list[Document]:
    incomplete = [run.name for run in runs if run.prepares and not run.has_ended_well]
    unready = [run.name for run in runs if not run.prepares and not run.ready]
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}.get(phase, "")
    told = "" if ended or not unready else f"containers with unready status: [{' '.join(unready)}]"
    prepared = "" if not incomplete else f"containers with incomplete status: [{' '.join(incomplete)}]"
    return [
        condition("PodScheduled", holds=True, reason="", message="", now=now),
        condition("Initialized", holds=not incomplete, reason="ContainersNotInitialized", message=prepared, now=now),
        condition("ContainersReady", holds=not unready, reason=ended or "ContainersNotReady", message=told, now=now),
        condition("Ready", holds=not unready, reason=ended or "ContainersNotReady", message=told, now=now),
    ]


def _container(run: Run) -> Document:
    status: Document = {
        "name": run.name,
        "image": run.image,
        "imageID": image_id(run.image) if run.container_id else "",
        "ready": run.has_ended_well if run.prepares else run.ready,
        "started": run.is_running,
        "restartCount": run.restarts,
        "state": run.state,
        "lastState": run.last,
    }
    return {**status, "containerID": run.container_id} if run.container_id else status


def waiting_reason(run: Run | None) -> str:
    """Return why a container has not started, as its log says it."""
    reason = text(section(run.state, "waiting"), "reason") if run else "ContainerCreating"
    return "trying and failing to pull image" if reason in {"ErrImagePull", "ImagePullBackOff"} else reason
