"""The order of the doing: signals to findings, the inbox to decisions, moments to wake-ups, a file to a playbook."""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

from services.decider.adapters.playbook_file import PlaybookFile
from services.decider.adapters.rows import Rows, States, wake_ups
from services.decider.core.absorbing import absorb, topic_of
from services.decider.core.announcing import accepted, in_force, rejected
from services.decider.core.deciding import EARLY
from services.decider.core.faults import PlaybookError
from services.decider.core.matching import RuleIndex, index_rules, match
from services.decider.core.playbook import Playbook
from services.decider.core.state import Refused
from services.decider.core.turn import Output
from shared.contracts.codec import Envelope, Record, decode
from shared.contracts.inbox import PlaybookActivated, WakeUp
from shared.contracts.incidents import Decision, Incident, Phase
from shared.contracts.model import Message
from shared.contracts.scores import SCORED
from shared.contracts.signals import SIGNALS
from shared.contracts.topics import INBOX, PLAYBOOKS, Topic
from shared.contracts.workloads import WorkloadRef
from shared.infra.broker import Publisher
from shared.infra.contiguity import Step
from shared.infra.crashing import CrashPoint, pass_by
from shared.kernel.clock import Clock, from_millis
from shared.kernel.errors import ConfigError, PoisonError, TransientError
from shared.kernel.ids import derive
from shared.runtime.health import Check
from shared.runtime.metrics import INCIDENTS_TOLD, PLAYBOOK_IN_FORCE, PLAYBOOK_LOADED, SCORED_DECISIONS

_TELL_AGAIN_AFTER = timedelta(seconds=30)
"""Where another playbook came into force than that of the file, by a decider that stood still with an older one."""

_LOOK_AT_FAST_CLOCK = timedelta(minutes=1)
"""How long a wake-up that was written too early is held back at the most: the clock may be put right meanwhile."""


class InForce:
    """The playbook that this process matches with: what its part of the log says; until then, what the file says."""

    def __init__(self) -> None:
        self._index: RuleIndex | None = None
        self.playbook: Playbook | None = None

    @property
    def index(self) -> RuleIndex | None:
        """Return the rules to match with; None while there is no playbook."""
        return self._index

    def set(self, playbook: Playbook) -> None:
        """Match with a playbook from now on."""
        if self.playbook is None or self.playbook.hash != playbook.hash:
            self.playbook, self._index = playbook, index_rules(playbook)
            PLAYBOOK_IN_FORCE.clear()
            PLAYBOOK_IN_FORCE.labels(hash=playbook.hash, name=playbook.words.metadata.name).set(1)


class Matching:
    """Signals to findings."""

    def __init__(self, publisher: Publisher, in_force: InForce) -> None:
        self._publisher = publisher
        self._in_force = in_force

    async def handle(self, envelope: Envelope) -> None:
        """Publish what a signal means to incidents; acknowledged when it returns.

        Raises:
            TransientError: no playbook is known yet; the signal must wait for one, or it would be lost.
        """
        signal, index = envelope.message, self._in_force.index
        if index is None:
            raise TransientError("no playbook is in force yet")
        if not isinstance(signal, SIGNALS):
            return
        pass_by(CrashPoint.BEFORE_FINDINGS)
        for entry in match(index, signal):  # type: ignore[arg-type]
            await self._publisher.publish(entry, topic=INBOX, traceparent=envelope.traceparent)
            pass_by(CrashPoint.FINDING_PUBLISHED)


class Deciding:
    """The inbox to decisions and all that follows from them."""

    def __init__(
        self,
        publisher: Publisher,
        in_force: InForce,
        *,
        wakes: "Wakes",
        bury: Callable[[Record, PoisonError], Awaitable[None]],
    ) -> None:
        self._publisher = publisher
        self._in_force = in_force
        self._wakes = wakes
        self._bury = bury
        self._states = States()

    def position(self, partition: int, rows: Rows) -> int:
        """Return the last offset of a partition that was absorbed."""
        return self._states.partition(partition, rows).offset

    def playbook(self, partition: int, rows: Rows) -> Playbook | None:
        """Return the playbook in force in a partition."""
        return self._states.partition(partition, rows).playbook

    def refused(self, partition: int, rows: Rows) -> Refused | None:
        """Return the stored playbook of a partition that this release cannot use, until another is in force there."""
        return self._states.partition(partition, rows).refused

    async def absorb(self, record: Record, rows: Rows) -> Step:
        """Decide one record; its outputs are acknowledged when it returns with the rows to be written."""
        try:
            return await self._absorb(record, rows)
        except PoisonError as poison:
            await self._bury(record, poison)
            return Step(self._states.passed(record.partition, record.offset, rows))

    async def _absorb(self, record: Record, rows: Rows) -> Step:
        envelope = decode(record)
        entry = envelope.message
        partition = self._states.partition(record.partition, rows)
        absorbed = absorb(
            partition,
            self._states.workload(entry.key, rows),
            entry,  # type: ignore[arg-type]
            offset=record.offset,
            now=from_millis(record.timestamp_ms),
        )
        await self._publish(absorbed.outputs, envelope.traceparent)
        _count(absorbed.outputs)
        if isinstance(entry, PlaybookActivated) and absorbed.partition.playbook is not partition.playbook:
            await self._announce(absorbed.partition.playbook, entry)
        if isinstance(entry, WakeUp):
            self._wakes.came(entry, stamped=from_millis(record.timestamp_ms))
        if absorbed.workload is not None:
            self._wakes.set(entry.key, absorbed.workload.wake_at)
        if absorbed.partition.playbook is not None:
            self._in_force.set(absorbed.partition.playbook)
        return Step(self._states.changed(record.partition, entry.key, absorbed, before=partition.playbook))

    async def _announce(self, playbook: Playbook | None, entry: PlaybookActivated) -> None:
        if playbook is not None:
            await self._publisher.publish(in_force(playbook, entry), topic=PLAYBOOKS)

    async def _publish(self, outputs: Sequence[Output], traceparent: str | None) -> None:
        pass_by(CrashPoint.BEFORE_OUTPUTS)
        by_topic: defaultdict[str, list[tuple[Topic, Output]]] = defaultdict(list)
        for output in outputs:
            topic = topic_of(output)
            by_topic[topic.name].append((topic, output))
        try:
            async with asyncio.TaskGroup() as group:
                for messages in by_topic.values():
                    group.create_task(self._publish_in_order(messages, traceparent))
        except* TransientError as failed:
            raise failed.exceptions[0] from failed
        pass_by(CrashPoint.OUTPUTS_PUBLISHED)

    async def _publish_in_order(self, messages: Sequence[tuple[Topic, Message]], traceparent: str | None) -> None:
        for topic, message in messages:
            await self._publisher.publish(message, topic=topic, traceparent=traceparent)
            pass_by(CrashPoint.OUTPUT_PUBLISHED)


for _phase in Phase:
    INCIDENTS_TOLD.labels(phase=_phase.value)  # shown as 0: of what begins with its first, no increase is seen


def _count(outputs: Sequence[Output]) -> None:
    """Count what is scored; the labels are bounded by the rules of the playbooks that were in force."""
    for output in outputs:
        if isinstance(output, Incident):
            INCIDENTS_TOLD.labels(phase=output.phase.value).inc()
        if isinstance(output, Decision) and output.reason in SCORED:
            SCORED_DECISIONS.labels(rule=output.rule, reason=output.reason.value).inc()


class Wakes:
    """The moments at which workloads asked to be looked at again."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._due: dict[str, datetime] = {}
        self._sent: dict[str, datetime] = {}
        self._not_before: dict[str, datetime] = {}

    def set(self, key: str, moment: datetime | None) -> None:
        """Wake a workload at a moment, or not at all."""
        if self._due.get(key) != moment:
            self._not_before.pop(key, None)
        if moment is not None:
            self._due[key] = moment
            return
        self._due.pop(key, None)
        self._sent.pop(key, None)

    def came(self, wake_up: WakeUp, *, stamped: datetime) -> None:
        """Take up that a wake-up was stamped before its moment: it is written again once that much time has passed.

        This clock is fast, or was, so that it is looked again within a minute.
        """
        early = wake_up.due - stamped
        if early > EARLY and self._sent.get(wake_up.key) == wake_up.due:
            del self._sent[wake_up.key]
            self._not_before[wake_up.key] = self._clock.now() + min(early, _LOOK_AT_FAST_CLOCK)

    def recover(self, rows: Rows) -> None:
        """Take up what the table says instead of what is known, after a start or a change of partitions."""
        self._due, self._not_before = dict(wake_ups(rows)), {}
        self._sent = {key: moment for key, moment in self._sent.items() if self._due.get(key) == moment}

    async def send_due(self) -> None:
        """Write a wake-up into the inbox for each moment that has come, once.

        What is acknowledged will be absorbed, by whoever has the partition by then; to write it again would be for
        ever where that is another process.
        """
        now = self._clock.now()
        for key, due in list(self._due.items()):
            if max(due, self._not_before.get(key, due)) > now or self._sent.get(key) == due:
                continue
            self._not_before.pop(key, None)
            wake_up = WakeUp(
                id=derive("wakeup", key, due.isoformat()), at=now, workload=WorkloadRef.parse(key), due=due
            )
            pass_by(CrashPoint.BEFORE_WAKE_UP)
            await self._publisher.publish(wake_up, topic=INBOX)
            pass_by(CrashPoint.WAKE_UP_PUBLISHED)
            self._sent[key] = due


class Activation:
    """The playbook's file to the inbox: a new playbook is in force from one offset of every partition on."""

    def __init__(self, file: PlaybookFile, publisher: Publisher, *, clock: Clock, check: Check) -> None:
        self._file = file
        self._publisher = publisher
        self._clock = clock
        self._check = check
        self._rejected = ""
        self._newest: Playbook | None = None
        self._is_told = False
        self._again_at = clock.now()

    def doubt(self) -> None:
        """Look again whether the file's playbook is in force: other partitions may not have been told of it."""
        self._is_told = False

    async def look(self, in_force: InForce, partitions: Sequence[Playbook | None]) -> None:
        """Publish the file's playbook where it is not in force yet; of a broken one only what is wrong with it.

        Raises:
            TransientError: the broker does not answer, or not for all partitions; the next look takes it up again.
        """
        try:
            await self._read(in_force)
        except TransientError:
            self._file.forget()
            raise
        if self._newest is None:
            return
        if in_force.playbook is None:
            await self._tell(self._newest)  # first: what is matched with it must be found in the log
            in_force.set(self._newest)
            self._is_told, self._again_at = True, self._clock.now() + _TELL_AGAIN_AFTER
        elif partitions and (not self._is_told or self._clock.now() >= self._again_at):
            if any(known is None or known.hash != self._newest.hash for known in partitions):
                await self._tell(self._newest)
            self._is_told, self._again_at = True, self._clock.now() + _TELL_AGAIN_AFTER

    async def _read(self, in_force: InForce) -> None:
        try:
            playbook = self._file.news()
        except ConfigError as broken:
            await self._reject(broken, in_force)
            return
        if playbook is not None:
            await self._accept(playbook)

    async def _reject(self, broken: ConfigError, in_force: InForce) -> None:
        kept = f"; {in_force.playbook.hash} stays in force" if in_force.playbook else ""
        self._check.bad(f"{broken}{kept}")
        PLAYBOOK_LOADED.set(0)
        if not isinstance(broken, PlaybookError):
            self._file.forget()  # none could be read: the same text is news when it is there again
        if str(broken) != self._rejected:
            told = rejected(broken, digest=self._file.digest, at=self._clock.now())
            await self._publisher.publish(told, topic=PLAYBOOKS)
            self._rejected = str(broken)

    async def _accept(self, playbook: Playbook) -> None:
        self._newest, self._is_told = playbook, False
        await self._publisher.publish(accepted(playbook, at=self._clock.now()), topic=PLAYBOOKS)
        self._rejected = ""
        PLAYBOOK_LOADED.set(1)
        self._check.ok()

    async def _tell(self, playbook: Playbook) -> None:
        pass_by(CrashPoint.BEFORE_BROADCAST)
        await self._publisher.broadcast(self._activated(playbook), topic=INBOX)
        pass_by(CrashPoint.BROADCAST_TO_ALL)

    def _activated(self, playbook: Playbook) -> PlaybookActivated:
        now = self._clock.now()
        return PlaybookActivated(
            id=derive("playbook", playbook.hash, now.isoformat()), at=now, hash=playbook.hash, text=playbook.text
        )
