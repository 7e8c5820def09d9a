"""What the golden histories tell: each rule of the shipped playbook, and people, through every end of an incident."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from services.decider.core.absorbing import absorb
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.core.state import PartitionState, WorkloadState
from shared.contracts.actions import Action, RestartPod
from shared.contracts.codec import Record, encode
from shared.contracts.commands import Command
from shared.contracts.inbox import (
    Approval,
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
from shared.contracts.incidents import Incident, Mode, Phase, Reason
from shared.contracts.signals import (
    ContainerSignal,
    ContainerState,
    EventSignal,
    HealthSignal,
    NodeSignal,
    PodSignal,
    Signal,
    WorkloadSignal,
)
from shared.contracts.topics import INBOX
from shared.contracts.workloads import CLUSTER_SCOPE, ObjectRef, WorkloadRef
from shared.kernel.clock import to_millis
from shared.kernel.ids import derive

PLAYBOOK = Path(__file__).resolve().parents[2] / "healing-playbook.yaml"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
_BETWEEN = timedelta(minutes=30)
_GIB = 1 << 30


@dataclass(slots=True)
class Log:
    """One partition of the inbox as it is written, and what is decided about it on the way."""

    partition: int
    rules: RuleIndex
    now: datetime = START
    records: list[Record] = field(default_factory=list[Record])
    commands: list[Command] = field(default_factory=list[Command])
    workloads: dict[str, WorkloadState] = field(default_factory=dict[str, WorkloadState])
    _state: PartitionState = field(default_factory=PartitionState)

    def take(self, entry: InboxEntry) -> None:
        """Write an entry, and decide it."""
        out = encode(entry, topic=INBOX, source="golden")
        offset = len(self.records)
        stamp = to_millis(self.now)
        self.records.append(Record(INBOX.name, self.partition, offset, stamp, out.key, out.value, out.headers))
        known = self.workloads.get(entry.key, WorkloadState())
        absorbed = absorb(self._state, known, entry, offset=offset, now=self.now)
        self._state = absorbed.partition
        if absorbed.workload is not None:
            self.workloads[entry.key] = absorbed.workload
        self.commands += [one for one in absorbed.outputs if isinstance(one, Command)]


class Scene:
    """One workload and what happens to it; each thing a second after the one before."""

    def __init__(self, log: Log, name: str, *, namespace: str = "bank", kind: str = "Deployment") -> None:
        self._log = log
        self.workload = WorkloadRef(kind=kind, namespace=namespace, name=name)

    @property
    def state(self) -> WorkloadState:
        """Return what is known about the workload."""
        return self._log.workloads.get(self.workload.key, WorkloadState())

    @property
    def incident(self) -> Incident:
        """Return the newest incident."""
        assert self.state.incident is not None
        return self.state.incident

    def shows(self, rule: str, *, times: int = 1, **fields: Any) -> None:
        """Let the signal come that a rule is about."""
        for _ in range(times):
            self._pass()
            signal = _SIGNALS[rule](self, fields)
            for entry in match(self._log.rules, signal):
                self._log.take(entry)

    def answered(self, outcome: Outcome = Outcome.APPLIED, reason: str = "") -> None:
        """Let the remediator answer the newest command."""
        self._pass()
        command = self._log.commands[-1]
        self._log.take(
            Result(
                **self.identity("result", command.id),
                workload=command.workload,
                command=command.id,
                incident=command.incident,
                action=command.action,
                outcome=outcome,
                reason=reason or outcome.value,
                changes=("image: v2 → v1",) if outcome in {Outcome.APPLIED, Outcome.DRY_RUN} else (),
                token=7,
            )
        )

    def becomes(self, *, healthy: bool, deleted: bool = False) -> None:
        """Let the workload tell of its health."""
        self._pass()
        self._log.take(_health(self, healthy=healthy, deleted=deleted))

    def wakes(self, times: int = 1) -> None:
        """Let the moments come that were asked for."""
        for _ in range(times):
            due = self.state.wake_at
            assert due is not None
            self._log.now = max(self._log.now, due)
            self._log.take(WakeUp(**self.identity("wakeup", str(due)), workload=self.workload, due=due))

    def is_told(self, *, approved: bool, aside: int = 0) -> None:
        """Let a person answer."""
        self._pass()
        self._log.take(
            Approval(
                **self.identity("approval"),
                workload=self.workload,
                incident=self.incident.id,
                step=self.incident.step + aside,
                approved=approved,
                by="ana",
                note="" if approved else "not on a Friday",
            )
        )

    def is_acted_on(self, action: Action | None = None, *, dry_run: bool = False) -> None:
        """Let a person ask for an action."""
        self._pass()
        asked = action or RestartPod(pod=f"{self.workload.name}-1", uid="uid-1")
        self._log.take(
            ManualAction(
                **self.identity("manual"), workload=self.workload, action=asked, dry_run=dry_run, by="ana", note=""
            )
        )

    def all_is_paused(self) -> None:
        """Let a person pause everything."""
        self._pass()
        self._log.take(Pause(**self.identity("pause"), by="ana", cause="maintenance"))

    def all_goes_on(self) -> None:
        """Let a person end the pause."""
        self._pass()
        self._log.take(Resume(**self.identity("resume"), by="ana"))

    def all_is_in(self, mode: Mode) -> None:
        """Let a playbook come into force that differs by its mode."""
        self._pass()
        text = PLAYBOOK.read_text(encoding="utf-8").replace("  mode: live #", f"  mode: {mode.value} #", 1)
        digest = load_playbook(text, file=PLAYBOOK.name).hash
        self._log.take(PlaybookActivated(**self.identity("playbook", digest), hash=digest, text=text))

    def is_silenced(self, *, minutes: int) -> Silence:
        """Let a person silence the workload."""
        self._pass()
        expires = self._log.now + timedelta(minutes=minutes)
        matchers = Matchers(namespace="b*", workload=self.workload.name)
        silence = Silence(
            **self.identity("silence"), by="ana", cause="moving the database", matchers=matchers, expires_at=expires
        )
        self._log.take(silence)
        return silence

    def is_silenced_no_more(self, silence: Silence) -> None:
        """Let another person end a silence early."""
        self._pass()
        self._log.take(SilenceEnded(**self.identity("silence-ended"), silence=silence.id, by="bob"))

    def identity(self, prefix: str, *causes: str) -> dict[str, Any]:
        """Return an id and a moment for what comes now."""
        return {"id": derive(prefix, self.workload.key, *causes, self._log.now.isoformat()), "at": self._log.now}

    def pod(self) -> ObjectRef:
        """Return the workload's pod."""
        return ObjectRef(kind="Pod", namespace=self.workload.namespace, name=f"{self.workload.name}-1", uid="uid-1")

    def _pass(self) -> None:
        self._log.now += timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Scenario:
    """One incident: how it goes, and how it must end for the history to be worth keeping."""

    name: str
    goes: Callable[[Scene], None]
    phase: Phase | None
    reason: Reason | None


def written(number: int, scenarios: Sequence[Scenario]) -> list[Record]:
    """Return the inbox of a history: its playbook, then one workload a scenario."""
    text = PLAYBOOK.read_text(encoding="utf-8")
    playbook = load_playbook(text, file=PLAYBOOK.name)
    log = Log(number, index_rules(playbook))
    log.take(PlaybookActivated(id=derive("playbook", playbook.hash), at=START, hash=playbook.hash, text=text))
    for scenario in scenarios:
        _play(log, scenario)
        log.now += _BETWEEN
    return log.records


def _play(log: Log, scenario: Scenario) -> None:
    kind = "Node" if scenario.name.startswith("node-") else "Deployment"
    namespace = "kube-system" if scenario.reason is None else CLUSTER_SCOPE if kind == "Node" else "bank"
    scene = Scene(log, scenario.name, namespace=namespace, kind=kind)
    scenario.goes(scene)
    ended = scene.state.incident
    found = (ended.phase, ended.reason) if ended else (None, None)
    if found != (scenario.phase, scenario.reason):
        raise AssertionError(f"{scenario.name} ended {found}, expected {(scenario.phase, scenario.reason)}")


def _container(scene: Scene, fields: dict[str, Any], **usual: Any) -> Signal:
    return ContainerSignal.model_validate(
        {
            **scene.identity("sig"),
            "cluster": "gold",
            "workload": scene.workload,
            "object": scene.pod(),
            "container": "server",
            "state": ContainerState.WAITING,
            "memory_limit_bytes": 128 << 20,
            "template_hash": "5d9c",
            **usual,
            **fields,
        }
    )


def _event(scene: Scene, fields: dict[str, Any]) -> Signal:
    message = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    words: dict[str, Any] = {"reason": "Unhealthy", "event_type": "Warning", "message": message}
    return EventSignal.model_validate(
        {**scene.identity("sig"), "cluster": "gold", "workload": scene.workload, "object": scene.pod()} | words | fields
    )


def _evicted(scene: Scene, fields: dict[str, Any]) -> Signal:
    return PodSignal.model_validate(
        {
            **scene.identity("sig"),
            "cluster": "gold",
            "workload": scene.workload,
            "object": scene.pod(),
            "phase": "Failed",
            "reason": "Evicted",
        }
        | fields
    )


def _health(scene: Scene, *, healthy: bool, deleted: bool = False, reason: str = "") -> HealthSignal:
    words: dict[str, Any] = {
        **scene.identity("sig", str(healthy), reason),
        "cluster": "gold",
        "workload": scene.workload,
        "object": ObjectRef(kind=scene.workload.kind, namespace=scene.workload.namespace, name=scene.workload.name),
        "healthy": healthy,
        "deleted": deleted,
        "reason": reason,
    }
    if scene.workload.kind == "Node":
        return NodeSignal.model_validate(words | {"ready": healthy})
    return WorkloadSignal.model_validate(words)


_SIGNALS: Mapping[str, Callable[[Scene, dict[str, Any]], Signal]] = {
    "image-pull": lambda scene, fields: _container(scene, fields, reason="ImagePullBackOff"),
    "cannot-start": lambda scene, fields: _container(scene, fields, reason="CreateContainerConfigError"),
    "out-of-memory": lambda scene, fields: _container(
        scene, fields, reason="CrashLoopBackOff", last_reason="OOMKilled", restarts=3
    ),
    "crash-loop": lambda scene, fields: _container(
        scene, fields, reason="CrashLoopBackOff", last_reason="Error", restarts=3
    ),
    "not-ready": _event,
    "hung-rollout": lambda scene, _: _health(scene, healthy=False, reason="ProgressDeadlineExceeded"),
    "evicted": _evicted,
    "node-not-ready": lambda scene, _: _health(scene, healthy=False, reason="KubeletStopped"),
}


def _healed(rule: str, times: int = 1) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        scene.shows(rule, times=times)
        scene.answered()
        scene.becomes(healthy=True)
        scene.wakes()

    return goes


def _answered(rule: str, outcome: Outcome, *, wakes: int = 0) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        scene.shows(rule)
        scene.answered(outcome, "not-found")
        scene.wakes(wakes)

    return goes


def _unanswered(rule: str, times: int = 1) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        scene.shows(rule, times=times)
        scene.wakes()
        scene.answered()

    return goes


def _gone(rule: str) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        scene.shows(rule)
        scene.becomes(healthy=False, deleted=True)
        scene.answered()

    return goes


def _awaiting(rule: str, times: int = 1) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        scene.shows(rule, times=times)
        scene.answered(Outcome.DRY_RUN)

    return goes


def _approved(rule: str, times: int = 1) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        _awaiting(rule, times)(scene)
        scene.is_told(approved=True, aside=1)
        scene.is_told(approved=True)
        scene.answered()
        scene.becomes(healthy=True)
        scene.wakes()

    return goes


def _rejected(rule: str, times: int = 1) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        _awaiting(rule, times)(scene)
        scene.is_told(approved=False)
        scene.is_told(approved=True)

    return goes


def _expired(rule: str, times: int = 1) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        _awaiting(rule, times)(scene)
        scene.wakes()

    return goes


def _recovers(scene: Scene) -> None:
    _awaiting("out-of-memory")(scene)
    scene.becomes(healthy=True)
    scene.wakes()


def _at_the_cap(scene: Scene) -> None:
    scene.shows("out-of-memory", memory_limit_bytes=_GIB)


def _previewed_in_vain(scene: Scene) -> None:
    scene.shows("out-of-memory")
    scene.answered(Outcome.REFUSED, "stale-target")


def _set_back(outcome: Outcome) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        _awaiting("out-of-memory")(scene)
        scene.is_told(approved=True)
        scene.answered()
        scene.wakes()
        scene.answered(outcome)

    return goes


def _to_the_second_rung(scene: Scene) -> None:
    scene.shows("crash-loop")
    scene.answered()
    scene.wakes()
    scene.answered(Outcome.DRY_RUN)
    scene.is_told(approved=True)
    scene.answered()
    scene.becomes(healthy=True)
    scene.wakes()


def _to_a_person(scene: Scene) -> None:
    scene.shows("crash-loop")
    scene.answered(Outcome.FAILED, "timeout")
    scene.answered(Outcome.DRY_RUN)
    scene.is_told(approved=True)
    scene.answered()
    scene.shows("crash-loop")
    scene.wakes()


def _paused(scene: Scene) -> None:
    scene.all_is_paused()
    scene.shows("crash-loop")
    scene.wakes(2)
    scene.all_goes_on()
    scene.wakes()
    scene.answered()
    scene.becomes(healthy=True)
    scene.wakes()


def _with_another_rule(scene: Scene) -> None:
    scene.shows("crash-loop")
    scene.shows("image-pull")
    scene.answered()
    scene.becomes(healthy=True)
    scene.shows("crash-loop")
    scene.wakes()


def _within_its_cooldown(scene: Scene) -> None:
    _healed("crash-loop")(scene)
    scene.shows("crash-loop")
    scene.shows("crash-loop", at=START)


def _by_a_person(scene: Scene) -> None:
    scene.is_acted_on()
    scene.answered()
    scene.becomes(healthy=True)
    scene.wakes()


def _by_a_person_in_vain(scene: Scene) -> None:
    scene.is_acted_on()
    scene.is_acted_on()
    scene.answered(Outcome.REFUSED, "not-found")


def _by_a_person_as_rehearsal(scene: Scene) -> None:
    scene.is_acted_on(dry_run=True)
    scene.answered(Outcome.DRY_RUN)


def _silenced(scene: Scene) -> None:
    silence = scene.is_silenced(minutes=20)
    scene.shows("crash-loop")
    scene.shows("crash-loop")
    scene.is_silenced_no_more(silence)
    _healed("crash-loop")(scene)


def _silenced_while_open(scene: Scene) -> None:
    scene.shows("hung-rollout")
    silence = scene.is_silenced(minutes=20)
    scene.answered(Outcome.FAILED, "timeout")
    scene.wakes(2)
    scene.is_silenced_no_more(silence)
    scene.wakes()


def _silenced_until_it_expires(scene: Scene) -> None:
    scene.shows("crash-loop")
    scene.is_silenced(minutes=4)
    scene.answered(Outcome.FAILED, "timeout")
    scene.wakes(4)
    scene.answered(Outcome.DRY_RUN)
    silence = scene.is_silenced(minutes=1)
    scene.is_told(approved=True)
    scene.is_silenced_no_more(silence)
    scene.is_told(approved=True)
    scene.answered()
    scene.becomes(healthy=True)
    scene.wakes()


def _protected(scene: Scene) -> None:
    scene.shows("crash-loop")
    scene.is_acted_on()


_VERIFIED = (Phase.HEALED, Reason.VERIFIED)
_HANDED_OVER = (Phase.ESCALATED, Reason.ESCALATED)


def _forgone(mode: Mode = Mode.SHADOW) -> Callable[[Scene], None]:
    def goes(scene: Scene) -> None:
        scene.all_is_in(mode)
        scene.becomes(healthy=False)
        scene.shows("crash-loop")
        if mode is Mode.DRY_RUN:
            scene.answered(Outcome.DRY_RUN)

    return goes


def _forgone_and_healed(scene: Scene) -> None:
    _forgone()(scene)
    scene.becomes(healthy=True)
    scene.wakes()


def _forgone_and_missed(scene: Scene) -> None:
    _forgone(Mode.DRY_RUN)(scene)
    scene.wakes()


def _forgone_and_confirmed(scene: Scene) -> None:
    _forgone()(scene)
    _by_a_person(scene)


HISTORIES: Mapping[str, Sequence[Scenario]] = {
    "image-pull": (
        Scenario("healed", _healed("image-pull"), *_VERIFIED),
        Scenario("refused", _answered("image-pull", Outcome.REFUSED), *_HANDED_OVER),
        Scenario("unanswered", _unanswered("image-pull"), Phase.ESCALATED, Reason.RESULT_MISSING),
        Scenario("gone", _gone("image-pull"), Phase.CLOSED, Reason.TARGET_GONE),
    ),
    "cannot-start": (
        Scenario("healed", _healed("cannot-start"), *_VERIFIED),
        Scenario("not-helped", _answered("cannot-start", Outcome.APPLIED, wakes=1), *_HANDED_OVER),
    ),
    "out-of-memory": (
        Scenario("approved", _approved("out-of-memory"), *_VERIFIED),
        Scenario("rejected", _rejected("out-of-memory"), Phase.ESCALATED, Reason.APPROVAL_REJECTED),
        Scenario("expired", _expired("out-of-memory"), Phase.ESCALATED, Reason.APPROVAL_EXPIRED),
        Scenario("recovered", _recovers, Phase.HEALED, Reason.RECOVERED),
        Scenario("at-the-cap", _at_the_cap, *_HANDED_OVER),
        Scenario("preview-refused", _previewed_in_vain, *_HANDED_OVER),
        Scenario("asked", _awaiting("out-of-memory"), Phase.AWAITING_APPROVAL, Reason.APPROVAL_REQUIRED),
        Scenario("set-back", _set_back(Outcome.APPLIED), *_HANDED_OVER),
        Scenario("not-set-back", _set_back(Outcome.REFUSED), Phase.ESCALATED, Reason.REVERT_FAILED),
    ),
    "crash-loop": (
        Scenario("healed", _healed("crash-loop"), *_VERIFIED),
        Scenario("second-rung", _to_the_second_rung, *_VERIFIED),
        Scenario("handed-over", _to_a_person, *_HANDED_OVER),
        Scenario("paused", _paused, *_VERIFIED),
        Scenario("another-rule", _with_another_rule, *_VERIFIED),
        Scenario("cooldown", _within_its_cooldown, *_VERIFIED),
        Scenario("protected", _protected, None, None),
    ),
    "not-ready": (
        Scenario("healed", _healed("not-ready", 5), *_VERIFIED),
        Scenario("unanswered", _unanswered("not-ready", 5), Phase.ESCALATED, Reason.RESULT_MISSING),
    ),
    "hung-rollout": (
        Scenario("healed", _healed("hung-rollout"), *_VERIFIED),
        Scenario("unknown", _answered("hung-rollout", Outcome.UNKNOWN, wakes=1), *_HANDED_OVER),
        Scenario("failed", _answered("hung-rollout", Outcome.FAILED), *_HANDED_OVER),
    ),
    "evicted": (
        Scenario("approved", _approved("evicted", 2), *_VERIFIED),
        Scenario("rejected", _rejected("evicted", 2), Phase.ESCALATED, Reason.APPROVAL_REJECTED),
        Scenario("expired", _expired("evicted", 2), Phase.ESCALATED, Reason.APPROVAL_EXPIRED),
    ),
    "node-not-ready": (Scenario("node-1", lambda scene: scene.shows("node-not-ready"), *_HANDED_OVER),),
    "people": (
        Scenario("healed", _by_a_person, *_VERIFIED),
        Scenario("refused", _by_a_person_in_vain, Phase.ESCALATED, Reason.LADDER_EXHAUSTED),
        Scenario("rehearsed", _by_a_person_as_rehearsal, Phase.CLOSED, Reason.DRY_RUN_DONE),
    ),
    "silences": (
        Scenario("silenced", _silenced, *_VERIFIED),
        Scenario("silenced-while-open", _silenced_while_open, *_HANDED_OVER),
        Scenario("silence-expired", _silenced_until_it_expires, *_VERIFIED),
    ),
    "forgone": (
        Scenario("needless", _forgone_and_healed, Phase.CLOSED, Reason.SHADOW_DONE),
        Scenario("missed", _forgone_and_missed, Phase.CLOSED, Reason.DRY_RUN_DONE),
        Scenario("confirmed", _forgone_and_confirmed, *_VERIFIED),
        Scenario("watched", _forgone(), Phase.CLOSED, Reason.SHADOW_DONE),
    ),
}
