"""What `decide` remembers about one workload and one partition, and its canonical bytes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from pydantic import TypeAdapter

from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import Playbook, load_playbook
from services.decider.core.tallies import Tally, with_its_finding
from shared.contracts.actions import Action
from shared.contracts.inbox import Finding, ManualAction, Pause, Silence
from shared.contracts.incidents import Incident
from shared.contracts.model import Moment


@dataclass(frozen=True, slots=True)
class Health:
    """A workload's health as last told: `since` when it is so, `at` when it was last confirmed (inbox time).

    `revision` is that of its template, 0 where none is told; `available` are its replicas, None where none are told.
    """

    healthy: bool
    since: Moment
    at: Moment
    revision: int = 0
    available: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What one series of a query shows of a cure: `since` when it holds (None where not), `at` its latest sample.

    Both are the samples' own moments. `part` names the rung's cure, `playbook` the one that asked.
    """

    series: str
    part: str
    playbook: str
    since: Moment | None
    at: Moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgone:
    """An action that a rule's mode kept from being ordered, while it is watched what comes without it.

    `at`, `until` and `found_at` (the rule's latest finding) are inbox time, `latest` is that finding's own moment.
    `part` names the rung's cure where samples prove it; else health does. `revision` is the template's at that time.
    `opened_at` is its incident's (inbox time), None in what a former release kept.
    """

    incident: str
    rule: str
    step: int
    attempt: int
    playbook: str
    action: Action
    healthy_for: timedelta
    part: str
    at: Moment
    until: Moment
    found_at: Moment
    latest: Moment
    revision: int
    proofs: tuple[Proof, ...] = ()
    opened_at: Moment | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Foretold:
    """How few replicas a preview said would be available, until the action that it showed is carried out and proven.

    `bound` is what that means by how many there were when it began, `seen` the fewest that were told since then.
    """

    incident: str
    rule: str
    step: int
    attempt: int
    action: Action
    lowest: int
    bound: int | None = None
    seen: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Climb:
    """Where an open incident stands on its rule's ladder, by names of rungs: another playbook may number them anew.

    `rungs` are those of the ladder that its step counts in, `passed` those that are behind it, `taken` those whose
    command was carried out or tried. `changes` counts the ladders that came since it was opened; `gone` is the present
    step where the newest of them has it no more.
    """

    rungs: tuple[str, ...]
    passed: tuple[str, ...] = ()
    taken: tuple[str, ...] = ()
    changes: int = 0
    gone: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadState:
    """All that is known about one workload; `offset` is the last inbox entry that it has absorbed.

    `incident` is the newest, open or ended. `finding` and `found_at` (inbox time) are its latest finding; a person's
    `manual` action takes their place where it opened the incident. `past` are the ids of the last incidents that ended:
    what opened one of them opens no second under the same id. `proofs` are what samples showed since the last order.
    `previewed` names what the playbook said of the action that the newest preview showed (`Turn.said`).
    `forgone` are the actions of which it is not known yet what came without them, `foretold` is what the newest preview
    predicted. `climb` is None where a person asked for what is done, and in what a former release kept.
    """

    offset: int = -1
    incident: Incident | None = None
    finding: Finding | None = None
    found_at: Moment | None = None
    manual: ManualAction | None = None
    explained: bool = False
    health: Health | None = None
    proofs: tuple[Proof, ...] = ()
    tallies: Mapping[str, Tally] = field(default_factory=dict[str, Tally])
    cooldowns: Mapping[str, Moment] = field(default_factory=dict[str, Moment])
    wake_at: Moment | None = None
    past: tuple[str, ...] = ()
    forgone: tuple[Forgone, ...] = ()
    foretold: Foretold | None = None
    previewed: str = ""
    climb: Climb | None = None

    @property
    def open_incident(self) -> Incident | None:
        """Return the incident that is not ended, if there is one."""
        return self.incident if self.incident is not None and not self.incident.phase.is_final else None


@dataclass(frozen=True, slots=True)
class Refused:
    """A stored playbook that this release cannot use, by its hash, and why."""

    hash: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionState:
    """What concerns all workloads of a partition: how far it was read, the playbook in force, pauses, silences.

    Where the stored playbook is `refused` none is in force until the next one comes.
    """

    offset: int = -1
    playbook: Playbook | None = None
    pauses: tuple[Pause, ...] = ()
    silences: tuple[Silence, ...] = ()
    refused: Refused | None = None

    @property
    def paused(self) -> Pause | None:
        """Return the pause that has held longest, if there is one."""
        return self.pauses[0] if self.pauses else None


@dataclass(frozen=True, slots=True)
class _PartitionRow:
    offset: int
    playbook: str | None
    paused: Pause | None = None  # read alone, of rows from before pauses added up
    silences: tuple[Silence, ...] = ()
    pauses: tuple[Pause, ...] = ()


def workload_bytes(state: WorkloadState) -> bytes:
    """Return a workload's state as stored: equal states have equal bytes."""
    return _WORKLOAD.dump_json(state)


def workload_of(stored: bytes | None) -> WorkloadState:
    """Return a stored workload's state; a new one if nothing is stored."""
    if stored is None:
        return WorkloadState()
    state = _WORKLOAD.validate_json(stored)
    return replace(state, tallies={key: with_its_finding(tally) for key, tally in state.tallies.items()})


def partition_bytes(state: PartitionState) -> bytes:
    """Return a partition's state as stored at each entry, with the playbook by its hash alone: it changes seldom."""
    stored = state.playbook or state.refused
    playbook = stored.hash if stored is not None else None
    return _PARTITION.dump_json(_PartitionRow(state.offset, playbook, silences=state.silences, pauses=state.pauses))


def partition_of(stored: bytes | None, text_of: Callable[[str], str | None]) -> PartitionState:
    """Return a stored partition's state; a new one if nothing is stored. `text_of` tells the playbook of a hash."""
    if stored is None:
        return PartitionState()
    row = _PARTITION.validate_json(stored)
    pauses = row.pauses or ((row.paused,) if row.paused is not None else ())
    state = PartitionState(offset=row.offset, pauses=pauses, silences=row.silences)
    text = text_of(row.playbook) if row.playbook else None
    if text is None or row.playbook is None:
        return state
    try:
        return replace(state, playbook=load_playbook(text, file=f"playbook {row.playbook}"))
    except PlaybookError as unusable:  # by a stricter release: the file may hold a better one by now
        return replace(state, refused=Refused(row.playbook, str(unusable)))


_WORKLOAD = TypeAdapter(WorkloadState)
_PARTITION = TypeAdapter(_PartitionRow)
