"""Builders for the decider's tests: they spell out only what matters, and run whole histories through `absorb`."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.decider.core.absorbing import absorb
from services.decider.core.playbook import hash_of
from services.decider.core.state import PartitionState, WorkloadState
from services.decider.core.turn import Output
from shared.contracts.actions import Action, RestartPod
from shared.contracts.commands import Command
from shared.contracts.inbox import (
    Approval,
    Finding,
    InboxEntry,
    ManualAction,
    Matchers,
    Outcome,
    Pause,
    PlaybookActivated,
    Result,
    Resume,
    Silence,
    SilenceEnded,
    WakeUp,
)
from shared.contracts.incidents import Decision, Incident, Reason
from shared.contracts.signals import (
    ContainerSignal,
    ContainerState,
    EventSignal,
    HealthSignal,
    NodeSignal,
    PodSignal,
    SampleSignal,
    Signal,
    WorkloadSignal,
)
from shared.contracts.workloads import ObjectRef, WorkloadRef
from shared.kernel.errors import PoisonError

START = datetime(2026, 1, 1, 12, tzinfo=UTC)
FRONTEND = WorkloadRef(kind="Deployment", namespace="bank", name="frontend")

HEAD = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: test}
spec:
  rules:
"""
"""What a playbook of a test begins with, before its rules."""
PLAYBOOK = """\
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {name: test}
spec:
  rules:
    - name: crash
      signal: container
      where: {reason: CrashLoopBackOff}
      cooldown: 5m
      ladder:
        - action: restart-pod
          attempts: 2
          backoff: 10s
          verify: {healthy_for: 30s, within: 2m}
        - action: rollback
          verify: {healthy_for: 30s, within: 2m}
        - action: escalate
    - name: memory
      signal: container
      where: {last_reason: OOMKilled}
      when: restarts >= 1
      ladder:
        - {action: set-memory, cap: 512Mi, mode: approval, approval: {expires: 10m}}
    - name: twice
      signal: container
      where: {reason: Error}
      window: {count: 2, within: 1m}
      ladder: [{action: restart-pod, mode: dry-run}]
    - name: slow
      signal: container
      where: {reason: Slow}
      ladder:
        - {action: notify, message: It is slow}
        - {action: wait, for: 1m, healthy_for: 30s}
        - {action: restart-pod, when: restarts >= 1, attempts: 2, verify: {healthy_for: 30s, within: 2m}}
        - {action: escalate, when: restarts >= 2, message: It goes on}
        - {action: rollback, when: restarts == 1}
        - {action: escalate}
"""


def at(seconds: float) -> datetime:
    """Return a moment, in seconds from the start of the test's history."""
    return START + timedelta(seconds=seconds)


def container(
    *, reason: str = "CrashLoopBackOff", seconds: float = 0, pod: str = "frontend-1", **fields: Any
) -> ContainerSignal:
    """Return a signal of a broken container."""
    return ContainerSignal.model_validate(
        {
            "id": f"sig-{pod}-{reason}-{seconds}",
            "at": at(seconds),
            "cluster": "test",
            "workload": FRONTEND,
            "object": ObjectRef(kind="Pod", namespace="bank", name=pod, uid=f"uid-{pod}"),
            "container": "server",
            "state": ContainerState.WAITING,
            "reason": reason,
            "memory_limit_bytes": 128 << 20,
            **fields,
        }
    )


def finding(rule: str = "crash", *, seconds: float = 0, pod: str = "frontend-1", **fields: Any) -> Finding:
    """Return a finding of a rule on a broken container."""
    return finding_on(container(seconds=seconds, pod=pod, **fields), rule)


def pod(**fields: Any) -> PodSignal:
    """Return a signal of a pod that hangs."""
    named = ObjectRef(kind="Pod", namespace="bank", name="frontend-1", uid="uid-frontend-1")
    known: dict[str, Any] = {"id": "sig-pod", "at": at(0), "cluster": "test", "workload": FRONTEND, "object": named}
    return PodSignal.model_validate({**known, "phase": "Pending", **fields})


def sample(*, value: float, seconds: float, query: str = "error-rate", **labels: str) -> SampleSignal:
    """Return a sample of a query about the workload; its labels tell the series."""
    return SampleSignal(
        id=f"sample-{query}-{seconds}-{sorted(labels.items())}-{value}",
        at=at(seconds),
        cluster="test",
        workload=FRONTEND,
        query=query,
        value=value,
        labels=labels,
    )


def event(*, kind: str = "Pod", uid: str = "uid-frontend-1", **fields: Any) -> EventSignal:
    """Return an event about an object."""
    named = ObjectRef(kind=kind, namespace="bank", name="frontend-1", uid=uid)
    known: dict[str, Any] = {"id": "sig-event", "at": at(0), "cluster": "test", "workload": FRONTEND, "object": named}
    return EventSignal.model_validate({**known, "reason": "Unhealthy", "type": "Warning", **fields})


def finding_on(signal: Signal, rule: str) -> Finding:
    """Return a finding of a rule on a signal."""
    return Finding(
        id=f"finding-{rule}-{signal.id}",
        at=signal.at,
        workload=signal.workload,
        rule=rule,
        playbook=hash_of(PLAYBOOK),
        signal=signal,
    )


def health(*, healthy: bool, seconds: float) -> WorkloadSignal:
    """Return what a Deployment says about itself."""
    return WorkloadSignal(
        id=f"health-{healthy}-{seconds}",
        at=at(seconds),
        cluster="test",
        workload=FRONTEND,
        object=ObjectRef(kind="Deployment", namespace="bank", name="frontend"),
        healthy=healthy,
    )


def gone(*, seconds: float, kind: str = "Deployment") -> HealthSignal:
    """Return that the workload was deleted, told as what a kind of object says of itself."""
    told = health(healthy=False, seconds=seconds)
    if kind == "Node":
        return NodeSignal(
            **told.model_dump(include={"id", "at", "cluster", "workload", "healthy"}),
            object=ObjectRef(kind="Node", name="node-1"),
            ready=False,
            deleted=True,
        )
    return told.model_copy(update={"deleted": True})


def result(command: Command, *, seconds: float, outcome: Outcome = Outcome.APPLIED) -> Result:
    """Return what became of a command."""
    return Result(
        id=f"result-{command.id}",
        at=at(seconds),
        workload=command.workload,
        command=command.id,
        incident=command.incident,
        action=command.action,
        outcome=outcome,
        reason=outcome.value,
    )


def braked(command: Command, *, seconds: float, retry_after: float = 60) -> Result:
    """Return that the brake told a command to come again."""
    refused = result(command, seconds=seconds, outcome=Outcome.REFUSED)
    told = {
        "reason": "budget-node",
        "message": "3 of 3 in the last hour",
        "retry_after": timedelta(seconds=retry_after),
    }
    return refused.model_copy(update=told)


def stopped(command: Command, *, seconds: float) -> Result:
    """Return that a stop held a command, which is to come again."""
    refused = result(command, seconds=seconds, outcome=Outcome.REFUSED)
    told = {
        "reason": "paused",
        "message": "bank is stopped by ann (annotation): disk full",
        "retry_after": timedelta(minutes=1),
    }
    return refused.model_copy(update=told)


def approval(incident: Incident, *, seconds: float, approved: bool = True) -> Approval:
    """Return a person's answer to the incident's present step."""
    return Approval(
        id=f"approval-{seconds}",
        at=at(seconds),
        workload=incident.workload,
        incident=incident.id,
        step=incident.step,
        approved=approved,
        by="ana",
    )


def manual(*, seconds: float, action: Action | None = None, dry_run: bool = False) -> ManualAction:
    """Return a person's own action."""
    return ManualAction(
        id=f"manual-{seconds}",
        at=at(seconds),
        workload=FRONTEND,
        action=action or RestartPod(pod="frontend-1", uid="uid-frontend-1"),
        dry_run=dry_run,
        by="ana",
    )


def wake_up(due: datetime) -> WakeUp:
    """Return the wake-up for a moment."""
    return WakeUp(id=f"wakeup-{due.isoformat()}", at=due, workload=FRONTEND, due=due)


def pause(seconds: float, *, by: str = "ana", cause: str = "maintenance") -> Pause:
    """Return a pause of everything."""
    return Pause(id=f"pause-{seconds}", at=at(seconds), by=by, cause=cause)


def resume(seconds: float, *, of: str = "") -> Resume:
    """Return the end of a person's pause; of all where nobody is named."""
    return Resume(id=f"resume-{seconds}", at=at(seconds), by="ana", of=of)


def silence(seconds: float, *, lasts: float = 600, name: str = "", **matchers: str) -> Silence:
    """Return a silence; about all of the namespace bank where nothing else is said."""
    return Silence(
        id=name or f"silence-{seconds}",
        at=at(seconds),
        by="ana",
        cause="moving the database",
        matchers=Matchers.model_validate(matchers or {"namespace": "bank"}),
        expires_at=at(seconds + lasts),
    )


def silence_ended(ended: str, *, seconds: float) -> SilenceEnded:
    """Return a silence's early end."""
    return SilenceEnded(id=f"{ended}-ended-{seconds}", at=at(seconds), silence=ended, by="bob")


def activated(text: str = PLAYBOOK) -> PlaybookActivated:
    """Return the entry that puts a playbook in force."""
    return PlaybookActivated(id=f"playbook-{hash_of(text)}", at=START, hash=hash_of(text), text=text)


@dataclass
class History:
    """One partition with one workload: what went in, what it became, and all that came out."""

    partition: PartitionState = field(default_factory=PartitionState)
    workload: WorkloadState = field(default_factory=WorkloadState)
    outputs: list[Output] = field(default_factory=list[Output])
    inbox: list[tuple[InboxEntry, datetime]] = field(default_factory=list[tuple[InboxEntry, datetime]])

    def take(self, entry: InboxEntry, *, seconds: float) -> list[Output]:
        """Append an entry at a moment and return what followed from it."""
        self.inbox.append((entry, at(seconds)))
        return self.deliver(len(self.inbox) - 1)

    def deliver(self, offset: int) -> list[Output]:
        """Deliver what lies at an offset, again or for the first time; poison is passed by."""
        entry, now = self.inbox[offset]
        try:
            absorbed = absorb(self.partition, self.workload, entry, offset=offset, now=now)
        except PoisonError:
            self.partition = replace(self.partition, offset=offset)
            return []
        self.partition = absorbed.partition
        self.workload = absorbed.workload or self.workload
        self.outputs += absorbed.outputs
        return list(absorbed.outputs)

    def wake(self) -> list[Output]:
        """Let the time come that the workload asked to be woken at."""
        due = self.workload.wake_at
        assert due is not None
        return self.take(wake_up(due), seconds=(due - START).total_seconds())

    @property
    def incident(self) -> Incident:
        """Return the newest incident."""
        assert self.workload.incident is not None
        return self.workload.incident

    @property
    def commands(self) -> list[Command]:
        """Return all commands, in order."""
        return [output for output in self.outputs if isinstance(output, Command)]

    @property
    def reasons(self) -> list[Reason]:
        """Return the reasons of all decisions, in order."""
        return [output.reason for output in self.outputs if isinstance(output, Decision)]


def history(text: str = PLAYBOOK) -> History:
    """Return a history that begins with a playbook in force."""
    begun = History()
    begun.take(activated(text), seconds=-1)
    return begun
