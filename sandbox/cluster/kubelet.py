"""The kubelet of all nodes: containers that start, crash with back-off, run out of memory, fail to pull, fail probes.

What goes wrong is told by the spec (an image whose tag begins with `missing`, a command that exits, a memory limit
below the need) or on cue, by annotations that a real cluster would ignore: on a pod, until it is replaced; on its
workload or template, until they are taken away.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

from sandbox.cluster.documents import (
    Document,
    ReadOnly,
    annotations_of,
    controller_of,
    is_leaving,
    name_of,
    namespace_of,
    rows,
    section,
    stamp,
    text,
    uid_of,
    whole,
    words,
)
from sandbox.cluster.errors import StatusError
from sandbox.cluster.names import image_id
from sandbox.cluster.plane import Plane, condition, settled, target_of
from sandbox.cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS, STATEFUL_SETS
from shared.kernel.quantities import parse_bytes

CUE = "sandbox.sre-agent.dev/"
EXIT_CODE, NEEDS_MEMORY, FAILS_PROBE = f"{CUE}exit-code", f"{CUE}needs-memory", f"{CUE}fails-probe"
_PULL = timedelta(milliseconds=300)
_FAIL_AFTER = timedelta(seconds=1)
_STOP = timedelta(milliseconds=200)
_NOTICE = timedelta(milliseconds=500)
_FIRST_BACKOFF, _MAX_BACKOFF = timedelta(seconds=10), timedelta(minutes=5)
_KILLED, _OOM = 137, "OOMKilled"
_SOURCE = "kubelet"
_EXITS = re.compile(r"(?:^|[\s;&|])exit (\d+)")
_LOG_LINES = 500
_PARENTS = {"ReplicaSet": REPLICA_SETS, "Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}


@dataclass(slots=True)
class _Run:
    """One container as the kubelet knows it; `life` counts its starts, so that timers of an earlier one are void."""

    name: str
    state: Document = field(default_factory=dict[str, "Document"])  # type: ignore[arg-type]
    last: Document = field(default_factory=dict[str, "Document"])  # type: ignore[arg-type]
    restarts: int = 0
    ready: bool = False
    backoff: timedelta = _FIRST_BACKOFF
    life: int = 0
    log: list[str] = field(default_factory=list[str])
    previous: list[str] = field(default_factory=list[str])

    @property
    def is_running(self) -> bool:
        return "running" in self.state


Act = Callable[[Document, _Run], None]


class Kubelet:
    """Run the pods that are bound to a node."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._pods: dict[str, dict[str, _Run]] = {}
        self._leaving: set[str] = set()
        self._planned: dict[str, set[tuple[str, int]]] = {}

    def observe(self, pod: Document) -> None:
        """Take a pod up, act on a cue, or let it go."""
        uid = uid_of(pod)
        if not text(pod, "spec", "nodeName"):
            return
        if is_leaving(pod):
            self._let_go(pod)
        elif uid not in self._pods:
            self._pods[uid] = {text(one, "name"): _Run(text(one, "name")) for one in rows(pod, "spec", "containers")}
            for run in self._pods[uid].values():
                self._pull(pod, run)
            self._tell(pod)
        else:
            for run in self._pods[uid].values():
                self._apply_cues(pod, run)

    def forget(self, pod: ReadOnly) -> None:
        """Forget a pod that is gone."""
        self._pods.pop(uid_of(pod), None)
        self._planned.pop(uid_of(pod), None)
        self._leaving.discard(uid_of(pod))

    def log(self, pod: ReadOnly, container: str, *, previous: bool) -> list[str] | None:
        """Return a container's lines; None where there are none to be had."""
        run = self._pods.get(uid_of(pod), {}).get(container)
        if run is None or (previous and not run.restarts) or (not previous and not run.life):
            return None
        return run.previous if previous else run.log

    def waiting_reason(self, pod: ReadOnly, container: str) -> str:
        """Return why a container has not started."""
        run = self._pods.get(uid_of(pod), {}).get(container)
        return text(run.state, "waiting", "reason") if run else "ContainerCreating"

    def _let_go(self, pod: Document) -> None:
        uid = uid_of(pod)
        if uid in self._leaving:
            return
        self._leaving.add(uid)
        for run in self._pods.get(uid, {}).values():
            run.life += 1
            self._plane.note(pod, "Killing", f"Stopping container {run.name}", source=_SOURCE)
        self._plane.clock.later(_STOP, lambda: self._finish(pod))

    def _finish(self, pod: Document) -> None:
        try:
            self._plane.api.finish(target_of(PODS, pod))
        except StatusError:
            return

    def _pull(self, pod: Document, run: _Run) -> None:
        run.state = {"waiting": {"reason": "ContainerCreating"}}
        image = text(self._spec(pod, run), "image")
        self._plane.note(pod, "Pulling", f'Pulling image "{image}"', source=_SOURCE)
        self._later(pod, run, _PULL, self._pulled)

    def _pulled(self, pod: Document, run: _Run) -> None:
        image = text(self._spec(pod, run), "image")
        if not _is_missing(image):
            self._plane.note(pod, "Pulled", f'Successfully pulled image "{image}"', source=_SOURCE)
            self._start(pod, run)
            return
        told = f'failed to pull and unpack image "{image}": not found'
        run.state = {"waiting": {"reason": "ErrImagePull", "message": told}}
        self._plane.note(pod, "Failed", f'Failed to pull image "{image}": {told}', warning=True, source=_SOURCE)
        self._plane.note(pod, "Failed", "Error: ErrImagePull", warning=True, source=_SOURCE)
        self._tell(pod)
        self._later(pod, run, _NOTICE, self._wait_to_pull)

    def _wait_to_pull(self, pod: Document, run: _Run) -> None:
        image = text(self._spec(pod, run), "image")
        told = f'Back-off pulling image "{image}"'
        run.state = {"waiting": {"reason": "ImagePullBackOff", "message": told}}
        self._plane.note(pod, "BackOff", told, source=_SOURCE)
        self._tell(pod)
        self._later(pod, run, run.backoff, self._pulled)
        run.backoff = min(run.backoff * 2, _MAX_BACKOFF)

    def _start(self, pod: Document, run: _Run) -> None:
        run.life += 1
        run.state = {"running": {"startedAt": stamp(self._plane.clock.now())}}
        run.log = []
        run.ready = False
        self._say(run, f"starting {run.name}")
        self._plane.note(pod, "Created", f"Container created: {run.name}", source=_SOURCE)
        self._plane.note(pod, "Started", f"Container started: {run.name}", source=_SOURCE)
        self._tell(pod)
        self._apply_cues(pod, run)

    def _apply_cues(self, pod: Document, run: _Run) -> None:
        """Let a running container do what its spec, or a cue, says."""
        if not run.is_running:
            return
        end = self._end_of(pod, run)
        if end is not None:
            self._later(pod, run, _FAIL_AFTER, end, once=True)
            return
        self._probe(pod, run)

    def _end_of(self, pod: Document, run: _Run) -> "Act | None":
        need, limit = self._cue(pod, NEEDS_MEMORY), text(self._spec(pod, run), "resources", "limits", "memory")
        if need and limit and parse_bytes(need) > parse_bytes(limit):
            return lambda pod, run: self._run_out_of_memory(pod, run, need, limit)
        code = self._cue(pod, EXIT_CODE) or _exit_code(self._spec(pod, run))
        if code:
            return lambda pod, run: self._crash(pod, run, int(code))
        return None

    def _run_out_of_memory(self, pod: Document, run: _Run, need: str, limit: str) -> None:  # noqa: PLR0917
        self._say(run, f"allocating {need} with a limit of {limit}")
        self._exit(pod, run, code=_KILLED, reason=_OOM)

    def _crash(self, pod: Document, run: _Run, code: int) -> None:
        if code:
            self._say(run, f"fatal: cannot continue, stale lock; exit code {code}")
        self._exit(pod, run, code=code, reason="Error" if code else "Completed")

    def _probe(self, pod: Document, run: _Run) -> None:
        spec, failing = self._spec(pod, run), self._cue(pod, FAILS_PROBE)
        if failing == "liveness":
            probe = section(spec, "livenessProbe")
            threshold = whole(probe, "failureThreshold", default=3) * whole(probe, "periodSeconds", default=10)
            self._later(pod, run, timedelta(seconds=threshold), self._kill_unlive, once=True)
        if failing == "readiness":
            self._fail_readiness(pod, run)
        elif not run.ready:
            delay = whole(section(spec, "readinessProbe"), "initialDelaySeconds")
            self._later(pod, run, timedelta(seconds=delay), self._become_ready)

    def _fail_readiness(self, pod: Document, run: _Run) -> None:
        run.ready = False
        self._plane.note(
            pod,
            "Unhealthy",
            "Readiness probe failed: HTTP probe failed with statuscode: 503",
            warning=True,
            source=_SOURCE,
        )
        self._tell(pod)

    def _kill_unlive(self, pod: Document, run: _Run) -> None:
        told = "Liveness probe failed: HTTP probe failed with statuscode: 500"
        self._plane.note(pod, "Unhealthy", told, warning=True, source=_SOURCE)
        message = f"Container {run.name} failed liveness probe, will be restarted"
        self._plane.note(pod, "Killing", message, source=_SOURCE)
        self._exit(pod, run, code=_KILLED, reason="Error")

    def _become_ready(self, pod: Document, run: _Run) -> None:
        if self._cue(pod, FAILS_PROBE) != "readiness" and run.is_running and not run.ready:
            run.ready = True
            self._say(run, "serving")
            self._tell(pod)

    def _exit(self, pod: Document, run: _Run, *, code: int, reason: str) -> None:
        now = stamp(self._plane.clock.now())
        ended: Document = {
            "exitCode": code,
            "reason": reason,
            "startedAt": text(run.state, "running", "startedAt"),
            "finishedAt": now,
        }
        run.life += 1
        run.state, run.ready = {"terminated": ended}, False
        run.previous = run.log
        self._tell(pod)
        policy = text(pod, "spec", "restartPolicy", default="Always")
        if policy == "Always" or (policy == "OnFailure" and code):
            self._later(pod, run, _NOTICE, self._restart if not run.restarts else self._back_off)

    def _back_off(self, pod: Document, run: _Run) -> None:
        run.last = run.state
        told = f"back-off {run.backoff.seconds}s restarting failed container={run.name} pod={name_of(pod)}"
        run.state = {"waiting": {"reason": "CrashLoopBackOff", "message": told}}
        message = f"Back-off restarting failed container {run.name} in pod {name_of(pod)}"
        self._plane.note(pod, "BackOff", message, warning=True, source=_SOURCE)
        self._tell(pod)
        self._later(pod, run, run.backoff, self._restart)
        run.backoff = min(run.backoff * 2, _MAX_BACKOFF)

    def _restart(self, pod: Document, run: _Run) -> None:
        if "terminated" in run.state:
            run.last = run.state
        run.restarts += 1
        self._start(pod, run)

    def _later(self, pod: Document, run: _Run, delay: timedelta, act: "Act", *, once: bool = False) -> None:  # noqa: PLR0917
        """Act after a delay, unless the container has ended or started anew by then."""
        if once:
            planned = self._planned.setdefault(uid_of(pod), set())
            if (run.name, run.life) in planned:
                return
            planned.add((run.name, run.life))
        life, key = run.life, (namespace_of(pod), name_of(pod))

        def ring() -> None:
            now = self._plane.api.store.get(PODS, key)
            if now is not None and uid_of(now) == uid_of(pod) and run.life == life and not is_leaving(now):
                act(now, run)

        self._plane.clock.later(delay, ring)

    def _cue(self, pod: ReadOnly, name: str) -> str:
        """Return a cue of a pod or of a workload above it."""
        at: ReadOnly | None = pod
        while at is not None:
            told = annotations_of(at).get(name, "")
            if told:
                return told
            owner = controller_of(at)
            resource = _PARENTS.get(text(owner, "kind"))
            at = self._plane.find(resource, namespace_of(at), name=text(owner, "name")) if resource else None
        return ""

    def _spec(self, pod: ReadOnly, run: _Run) -> Document:
        nothing: Document = {}
        return next((one for one in rows(pod, "spec", "containers") if text(one, "name") == run.name), nothing)

    def _say(self, run: _Run, line: str) -> None:
        run.log = [*run.log, f"{stamp(self._plane.clock.now())} {line}"][-_LOG_LINES:]

    def _tell(self, pod: ReadOnly) -> None:
        """Write the pod's status."""
        current = self._plane.find(PODS, namespace_of(pod), name=name_of(pod))
        if current is None or uid_of(current) != uid_of(pod):
            return
        runs = self._pods[uid_of(pod)]
        statuses = [self._status(current, run) for run in runs.values()]
        is_ready = all(run.ready for run in runs.values())
        now = self._plane.clock.now()
        fresh = [
            condition(kind, holds=holds, reason="" if holds else "ContainersNotReady", message="", now=now)
            for kind, holds in (
                ("PodScheduled", True),
                ("Initialized", True),
                ("ContainersReady", is_ready),
                ("Ready", is_ready),
            )
        ]
        known = rows(current, "status", "conditions")
        kept = [one for one in known if text(one, "type") == "DisruptionTarget"]
        status: Document = {
            "phase": self._phase(current, runs),
            "conditions": [*kept, *settled(fresh, known)],
            "containerStatuses": [*statuses],
            "hostIP": "192.168.0.1",
            "podIP": text(current, "status", "podIP", default=f"10.244.0.{len(self._pods) % 250 + 2}"),
            "startTime": text(current, "status", "startTime", default=stamp(now)),
            "qosClass": "Burstable",
        }
        self._plane.set_status(PODS, current, status)

    def _status(self, pod: ReadOnly, run: _Run) -> Document:
        image = text(self._spec(pod, run), "image")
        return {
            "name": run.name,
            "image": image,
            "imageID": image_id(image) if run.life else "",
            "ready": run.ready,
            "started": run.is_running,
            "restartCount": run.restarts,
            "state": run.state,
            "lastState": run.last,
        }

    def _phase(self, pod: ReadOnly, runs: dict[str, _Run]) -> str:
        ended = [section(run.state, "terminated") for run in runs.values() if "terminated" in run.state]
        policy = text(pod, "spec", "restartPolicy", default="Always")
        if len(ended) == len(runs) and policy != "Always":
            failed = any(whole(one, "exitCode") for one in ended)
            return "Succeeded" if not failed else "Failed" if policy == "Never" else "Running"
        return "Running" if any(run.life for run in runs.values()) else "Pending"


def _is_missing(image: str) -> bool:
    return image.rpartition("/")[2].rpartition(":")[2].startswith("missing")


def _exit_code(container: ReadOnly) -> str:
    """Return the code that a command plainly exits with; empty for one that runs on."""
    command = [*words(container, "command"), *words(container, "args")]
    program = command[0].rpartition("/")[2] if command else ""
    if program in {"false", "true"}:
        return "1" if program == "false" else "0"
    found = _EXITS.search(" ".join(command))
    return found[1] if found else ""
