"""The witness: it sees every record as it is written and every effect on the cluster, and says what must not be.

It decides the inbox by itself as it grows, by what `sre-agent replay` runs. So it knows what the deciders may publish
before they do, whatever becomes of them.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import Playbook
from services.decider.core.replaying import Replay
from services.decider.core.state import PartitionState, WorkloadState, workload_bytes
from services.decider.core.turn import Output
from shared.contracts.codec import Record, body_of, decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Finding
from shared.contracts.incidents import Decision, Incident, Reason
from shared.contracts.signals import SIGNALS
from shared.contracts.topics import COMMANDS, DECISIONS, INBOX, INCIDENTS, RCA_REQUESTS, WORKLOADS_CHANGELOG
from shared.kernel.errors import PoisonError
from tests.simulation.cluster import Effect

if TYPE_CHECKING:
    from datetime import datetime

_OUTPUTS = {topic.name for topic in (DECISIONS, COMMANDS, RCA_REQUESTS, INCIDENTS)}


class Violation(Exception):  # noqa: N818 - it names what was violated, not a failure of this program
    """Something happened that must never happen."""


class Witness:
    """Judge what happens as it happens; `tell` keeps the history, `fail` ends the run."""

    def __init__(self, *, tell: Callable[[str], None], fail: Callable[[Violation], None]) -> None:
        self.replay = Replay()
        self.partitions: dict[int, PartitionState] = {}
        self.workloads: dict[str, WorkloadState] = {}
        self._tell = tell
        self._fail = fail
        self._expected: dict[str, set[bytes]] = defaultdict(set)
        self._published: dict[str, set[bytes]] = defaultdict(set)
        self._commands: dict[str, Command] = {}
        self._effects: Counter[str] = Counter()
        self._tokens: dict[str, int] = defaultdict(int)
        self._entries: set[str] = set()
        self._signals: list[Record] = []
        self._causes: set[str] = set()
        self._rests: dict[tuple[str, str], datetime] = {}
        self._places: dict[str, int] = {}

    @property
    def is_calm(self) -> bool:
        """Tell whether no incident is open."""
        return not any(self._open())

    def appended(self, record: Record) -> None:
        """Take note of a record as it is written."""
        if record.topic == INBOX.name:
            self._note_entry(record)
        elif record.topic in _OUTPUTS:
            self._judge_output(record)
        elif record.topic.startswith("sre.signals."):
            self._signals.append(record)
        if record.topic != WORKLOADS_CHANGELOG.name:
            self._tell(_line(record))

    def saw(self, effect: Effect) -> None:
        """Take note of what was done to the cluster."""
        self._tell(f"          EFFECT on {effect.object} by {effect.command} under token {effect.token}")
        command = self._commands.get(effect.command)
        self._effects[effect.command] += 1
        if command is None or command.dry_run:
            self._violated(f"an effect on {effect.object} that no command asks for: {effect.command!r}")
        if self._effects[effect.command] > 1:
            self._violated(f"the action of {effect.command} was carried out twice, on {effect.object}")
        if effect.token < self._tokens[effect.object]:
            self._violated(
                f"{effect.object} was changed under token {effect.token} after {self._tokens[effect.object]}"
            )
        self._tokens[effect.object] = max(effect.token, self._tokens[effect.object])

    def lost(self) -> Iterator[str]:
        """Return what should have followed by now, and has not."""
        for name, bodies in self._expected.items():
            if bodies - self._published[name]:
                yield f"{name} was decided and never published"
        yield from (f"{one} is open for ever" for one in self._open())
        yield from self._unmatched()
        for finding in self.replay.findings:
            if finding not in self._causes:
                yield f"{finding} was answered by no decision"

    def strangers(self, rows: dict[str, bytes], partitions: frozenset[int]) -> Iterator[str]:
        """Return where a decider's rows differ from what the inbox gives."""
        for key, state in self.workloads.items():
            if self._places[key] in partitions and rows.get(key) != workload_bytes(state):
                yield f"the stored state of {key} is not what the inbox gives"

    def _note_entry(self, record: Record) -> None:
        taken = self.replay.step(record)
        if taken is None:
            return
        key = taken.entry.key
        self._entries.add(taken.entry.id)
        self._places[key] = record.partition
        self.partitions[record.partition] = taken.absorbed.partition
        if taken.absorbed.workload is not None:
            self.workloads[key] = taken.absorbed.workload
        for output in taken.absorbed.outputs:
            self._expect(output, record.partition)

    def _expect(self, output: Output, partition: int) -> None:
        known = self._expected[output.id]
        known.add(body_of(output))
        if len(known) > 1 and not isinstance(output, Incident):
            self._violated(f"{output.id} has a second body by the inbox itself")
        match output:
            case Command():
                self._commands[output.id] = output
            case Decision():
                self._causes.add(output.cause)
                self._judge_cooldown(output)
            case Incident():
                self._rest(output, self.partitions[partition].playbook)
            case _:
                pass

    def _judge_cooldown(self, decision: Decision) -> None:
        until = self._rests.get((decision.workload.key, decision.rule))
        if decision.reason is Reason.INCIDENT_OPENED and until is not None and decision.at < until:
            self._violated(f"{decision.id} opens an incident of {decision.rule} within its cooldown")

    def _rest(self, incident: Incident, playbook: Playbook | None) -> None:
        rule = playbook.rules.get(incident.rule) if playbook is not None else None
        if incident.closed_at is not None and rule is not None:
            self._rests[incident.workload.key, incident.rule] = incident.closed_at + rule.words.cooldown

    def _judge_output(self, record: Record) -> None:
        name = (dict(record.headers)["ce_id"] or b"").decode()
        body = record.value or b""
        if body not in self._expected[name]:
            known = b" or ".join(sorted(self._expected[name])) or b"(nothing of this id)"
            self._violated(f"published: {body.decode()}\nthe inbox gives: {known.decode()}")
        self._published[name].add(body)

    def _open(self) -> Iterator[str]:
        for key, state in self.workloads.items():
            if state.open_incident is not None:
                yield f"{state.open_incident.id} ({key}, {state.open_incident.phase})"

    def _unmatched(self) -> Iterator[str]:
        indexes = [index_rules(playbook) for playbook in self.replay.playbooks.values()]
        for record in self._signals:
            try:
                signal = decode(record).message
            except PoisonError:
                continue
            assert isinstance(signal, SIGNALS)
            met = [[one.id for one in match(index, signal)] for index in indexes]  # type: ignore[arg-type]
            if not any(all(name in self._entries for name in names) for names in met):
                yield f"{signal.id} was met by rules and has no finding"

    def _violated(self, what: str) -> None:
        self._fail(Violation(what))


def _line(record: Record) -> str:
    attributes = dict(record.headers)
    kind, name = ((attributes.get(one) or b"?").decode() for one in ("ce_type", "ce_id"))
    place = f"{record.topic}/{record.partition}/{record.offset}"
    return f"          {place} {kind.removeprefix('dev.sre-agent.')} {name} {_told(record)}"


def _told(record: Record) -> str:
    try:
        message = decode(record).message
    except PoisonError as poison:
        return f"poison: {poison}"
    match message:
        case Decision():
            return f"{message.workload.key}: {message.reason} {message.detail}"
        case Finding():
            return f"{message.workload.key}: {message.rule}"
        case Incident():
            return f"{message.workload.key}: {message.rule} {message.phase} step {message.step}.{message.attempt}"
        case Command():
            return f"{message.workload.key}: {message.action.kind}{' (dry run)' if message.dry_run else ''}"
        case _:
            return message.key
