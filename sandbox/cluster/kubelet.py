"""The kubelet of all nodes: containers that start, crash with back-off, run out of memory, fail to pull, fail probes.

What goes wrong is told by the spec (an image whose tag begins with `missing`, a command that exits, a memory limit
below the need) or on cue, by annotations that a real cluster would ignore: on a pod, until it is replaced; on its
workload or template, until they are taken away.
"""

from collections.abc import Callable
from datetime import timedelta

from sandbox.cluster.containers import exit_code_of, is_missing, probe_fails, said_by, sources_of
from sandbox.cluster.documents import (
    Document,
    Json,
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
)
from sandbox.cluster.errors import StatusError
from sandbox.cluster.plane import Plane, target_of
from sandbox.cluster.resources import DEPLOYMENTS, PODS, REPLICA_SETS, STATEFUL_SETS
from sandbox.cluster.runs import Run, is_restarted, next_to_prepare, runs_of, status_of, waiting_reason
from shared.kernel.quantities import parse_bytes

CUE = "sandbox.sre-agent.dev/"
EXIT_CODE, NEEDS_MEMORY, FAILS_PROBE = f"{CUE}exit-code", f"{CUE}needs-memory", f"{CUE}fails-probe"
_PULL = timedelta(milliseconds=300)
_FAIL_AFTER = timedelta(seconds=1)
_STOP = timedelta(milliseconds=200)
_NOTICE = timedelta(milliseconds=500)
_LOOK_FOR_CONFIG = timedelta(seconds=2)
_MAX_BACKOFF = timedelta(minutes=5)
_KILLED, _OOM = 137, "OOMKilled"
_SOURCE = "kubelet"
_LOG_LINES = 500
_PARENTS = {"ReplicaSet": REPLICA_SETS, "Deployment": DEPLOYMENTS, "StatefulSet": STATEFUL_SETS}

Act = Callable[[Document, Run], None]


class Kubelet:
    """Run the pods that are bound to a node."""

    def __init__(self, plane: Plane) -> None:
        self._plane = plane
        self._pods: dict[str, dict[str, Run]] = {}
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
            self._pods[uid] = {run.name: run for run in runs_of(pod)}
            for run in self._pods[uid].values():
                run.image = text(self._spec(pod, run), "image")
                run.wait("PodInitializing" if next_to_prepare(self._runs(pod)) else "ContainerCreating")
            self._go_on(pod)
            self._tell(pod)
        else:
            for run in self._runs(pod):
                self._renew(pod, run)
                self._apply_cues(pod, run)

    def forget(self, pod: ReadOnly) -> None:
        """Forget a pod that is gone."""
        self._pods.pop(uid_of(pod), None)
        self._planned.pop(uid_of(pod), None)
        self._leaving.discard(uid_of(pod))

    def log(self, pod: ReadOnly, container: str, *, previous: bool) -> list[str] | None:
        """Return a container's lines; None where there are none to be had."""
        run = self._pods.get(uid_of(pod), {}).get(container)
        if run is None or (previous and not run.restarts) or not run.container_id:
            return None
        return run.previous if previous else run.log

    def waiting_reason(self, pod: ReadOnly, container: str) -> str:
        """Return why a container has not started."""
        return waiting_reason(self._pods.get(uid_of(pod), {}).get(container))

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

    def _go_on(self, pod: Document) -> None:
        """Begin what comes next: one container after the other that prepares the pod, then all others at once."""
        preparing = next_to_prepare(self._runs(pod))
        begun = [preparing] if preparing else [run for run in self._runs(pod) if not run.prepares]
        for run in begun:
            self._pull(pod, run)

    def _pull(self, pod: Document, run: Run) -> None:
        run.wait("PodInitializing" if run.prepares else "ContainerCreating")
        self._plane.note(pod, "Pulling", f'Pulling image "{run.image}"', source=_SOURCE)
        self._later(pod, run, _PULL, self._pulled)

    def _renew(self, pod: Document, run: Run) -> None:
        """Start a container anew from another image."""
        image = text(self._spec(pod, run), "image")
        if run.image == image:
            return
        if run.is_running:
            message = f"Container {run.name} definition changed, will be restarted"
            self._plane.note(pod, "Killing", message, source=_SOURCE)
            run.last, run.previous = self._ended(run, code=_KILLED, reason="Error"), run.log
            run.restarts += 1
        run.image, run.ready = image, False
        run.life += 1
        self._pull(pod, run)

    def _pulled(self, pod: Document, run: Run) -> None:
        if is_missing(run.image):
            self._miss_image(pod, run)
            return
        self._plane.note(pod, "Pulled", f'Successfully pulled image "{run.image}"', source=_SOURCE)
        self._configure(pod, run)

    def _miss_image(self, pod: Document, run: Run) -> None:
        if text(self._spec(pod, run), "imagePullPolicy") == "Never":
            told = f'Container image "{run.image}" is not present with pull policy of Never'
            run.wait("ErrImageNeverPull", told)
            self._plane.note(pod, "ErrImageNeverPull", told, warning=True, source=_SOURCE)
            self._tell(pod)
            return
        told = f'failed to pull and unpack image "{run.image}": not found'
        run.wait("ErrImagePull", told)
        self._plane.note(pod, "Failed", f'Failed to pull image "{run.image}": {told}', warning=True, source=_SOURCE)
        self._plane.note(pod, "Failed", "Error: ErrImagePull", warning=True, source=_SOURCE)
        self._tell(pod)
        self._later(pod, run, _NOTICE, self._wait_to_pull)

    def _configure(self, pod: Document, run: Run) -> None:
        """Start a container if what it is configured from is there; look again a little later if it is not."""
        for resource, name in sources_of(self._spec(pod, run)):
            if self._plane.find(resource, namespace_of(pod), name=name) is None:
                told = f'{resource.kind.lower()} "{name}" not found'
                run.wait("CreateContainerConfigError", told)
                self._plane.note(pod, "Failed", f"Error: {told}", warning=True, source=_SOURCE)
                self._tell(pod)
                self._later(pod, run, _LOOK_FOR_CONFIG, self._configure)
                return
        self._start(pod, run)

    def _wait_to_pull(self, pod: Document, run: Run) -> None:
        told = f'Back-off pulling image "{run.image}"'
        run.wait("ImagePullBackOff", told)
        self._plane.note(pod, "BackOff", told, source=_SOURCE)
        self._tell(pod)
        self._later(pod, run, run.backoff, self._pulled)
        run.backoff = min(run.backoff * 2, _MAX_BACKOFF)

    def _start(self, pod: Document, run: Run) -> None:
        run.life += 1
        run.state = {"running": {"startedAt": stamp(self._plane.clock.now())}}
        run.container_id = f"sandbox://{self._plane.names.hexadecimal()}"
        run.log, run.ready = [], False
        for line in said_by(self._spec(pod, run)) or [f"starting {run.name}"]:
            self._say(run, line)
        self._plane.note(pod, "Created", f"Container created: {run.name}", source=_SOURCE)
        self._plane.note(pod, "Started", f"Container started: {run.name}", source=_SOURCE)
        self._tell(pod)
        self._apply_cues(pod, run)

    def _apply_cues(self, pod: Document, run: Run) -> None:
        """Let a running container do what its spec, or a cue, says."""
        if not run.is_running:
            return
        end = self._end_of(pod, run)
        if end is not None:
            self._later(pod, run, _FAIL_AFTER, end, once=True)
            return
        self._probe(pod, run)

    def _end_of(self, pod: Document, run: Run) -> "Act | None":
        need, limit = self._cue(pod, NEEDS_MEMORY), text(self._spec(pod, run), "resources", "limits", "memory")
        if need and limit and parse_bytes(need) > parse_bytes(limit):
            return lambda pod, run: self._run_out_of_memory(pod, run, need, limit)
        code = exit_code_of(self._spec(pod, run))
        code = code or "0" if run.prepares else self._cue(pod, EXIT_CODE) or code  # what prepares a pod has to end
        if code:
            return lambda pod, run: self._crash(pod, run, int(code))
        return None

    def _run_out_of_memory(self, pod: Document, run: Run, need: str, limit: str) -> None:  # noqa: PLR0917
        self._say(run, f"allocating {need} with a limit of {limit}")
        self._exit(pod, run, code=_KILLED, reason=_OOM)

    def _crash(self, pod: Document, run: Run, code: int) -> None:
        if code and not said_by(self._spec(pod, run)):
            self._say(run, f"fatal: cannot continue, stale lock; exit code {code}")
        self._exit(pod, run, code=code, reason="Error" if code else "Completed")

    def _probe(self, pod: Document, run: Run) -> None:
        spec, cued = self._spec(pod, run), self._cue(pod, FAILS_PROBE)
        liveness, readiness = section(spec, "livenessProbe"), section(spec, "readinessProbe")
        if cued == "liveness" or probe_fails(liveness):
            threshold = whole(liveness, "failureThreshold", default=3) * whole(liveness, "periodSeconds", default=10)
            self._later(pod, run, timedelta(seconds=threshold), self._kill_unlive, once=True)
        if cued == "readiness" or probe_fails(readiness):
            self._fail_readiness(pod, run)
        elif not run.ready:
            delay = whole(readiness, "initialDelaySeconds")
            self._later(pod, run, timedelta(seconds=delay), self._become_ready)

    def _fail_readiness(self, pod: Document, run: Run) -> None:
        run.ready = False
        told = "Readiness probe failed: HTTP probe failed with statuscode: 503"
        self._plane.note(pod, "Unhealthy", told, warning=True, source=_SOURCE)
        self._tell(pod)

    def _kill_unlive(self, pod: Document, run: Run) -> None:
        told = "Liveness probe failed: HTTP probe failed with statuscode: 500"
        self._plane.note(pod, "Unhealthy", told, warning=True, source=_SOURCE)
        message = f"Container {run.name} failed liveness probe, will be restarted"
        self._plane.note(pod, "Killing", message, source=_SOURCE)
        self._exit(pod, run, code=_KILLED, reason="Error")

    def _become_ready(self, pod: Document, run: Run) -> None:
        if self._cue(pod, FAILS_PROBE) != "readiness" and run.is_running and not run.ready:
            run.ready = True
            if not said_by(self._spec(pod, run)):
                self._say(run, "serving")
            self._tell(pod)

    def _exit(self, pod: Document, run: Run, *, code: int, reason: str) -> None:
        run.state = self._ended(run, code=code, reason=reason)
        run.life += 1
        run.ready, run.previous = False, run.log
        if run.prepares and not code:
            self._go_on(pod)
        self._tell(pod)
        if is_restarted(pod, run, code):
            self._later(pod, run, _NOTICE, self._restart if not run.restarts else self._back_off)

    def _ended(self, run: Run, *, code: int, reason: str) -> Document:
        ended: dict[str, Json] = {
            "exitCode": code,
            "reason": reason,
            "startedAt": text(run.state, "running", "startedAt"),
            "finishedAt": stamp(self._plane.clock.now()),
            "containerID": run.container_id,
        }
        return {"terminated": ended}

    def _back_off(self, pod: Document, run: Run) -> None:
        run.last = run.state
        told = f"back-off {run.backoff.seconds}s restarting failed container={run.name} pod={name_of(pod)}"
        run.wait("CrashLoopBackOff", told)
        message = f"Back-off restarting failed container {run.name} in pod {name_of(pod)}"
        self._plane.note(pod, "BackOff", message, warning=True, source=_SOURCE)
        self._tell(pod)
        self._later(pod, run, run.backoff, self._restart)
        run.backoff = min(run.backoff * 2, _MAX_BACKOFF)

    def _restart(self, pod: Document, run: Run) -> None:
        if "terminated" in run.state:
            run.last = run.state
        run.restarts += 1
        self._start(pod, run)

    def _later(self, pod: Document, run: Run, delay: timedelta, act: "Act", *, once: bool = False) -> None:  # noqa: PLR0917
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

    def _runs(self, pod: ReadOnly) -> list[Run]:
        return list(self._pods[uid_of(pod)].values())

    def _spec(self, pod: ReadOnly, run: Run) -> Document:
        nothing: Document = {}
        containers = rows(pod, "spec", "initContainers" if run.prepares else "containers")
        return next((one for one in containers if text(one, "name") == run.name), nothing)

    def _say(self, run: Run, line: str) -> None:
        run.log = [*run.log, f"{stamp(self._plane.clock.now())} {line}"][-_LOG_LINES:]

    def _tell(self, pod: ReadOnly) -> None:
        """Write the pod's status."""
        current = self._plane.find(PODS, namespace_of(pod), name=name_of(pod))
        if current is None or uid_of(current) != uid_of(pod):
            return
        address = text(current, "status", "podIP", default=f"10.244.0.{len(self._pods) % 250 + 2}")
        status = status_of(current, self._runs(pod), address=address, now=self._plane.clock.now())
        self._plane.set_status(PODS, current, status)
