"""Wires the decider: settings → adapters → handlers → supervised tasks."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial

from services.decider.adapters.playbook_file import PlaybookFile, read_playbook
from services.decider.adapters.rows import offset_of
from services.decider.core.playbook import Playbook
from services.decider.core.steps import WAKE_EVERY
from services.decider.handlers import Activation, Deciding, InForce, Matching, Wakes
from services.decider.settings import DeciderSettings
from shared.contracts.codec import Record
from shared.contracts.signatures import command_seal
from shared.contracts.topics import (
    DECIDER_APP,
    INBOX,
    SIGNAL_TOPICS,
    WORKLOADS_TABLE,
)
from shared.infra.broker import Publisher
from shared.infra.contiguity import Following, Step, Stream, Table
from shared.infra.crashing import CrashPoint, pass_by
from shared.infra.kafka import KafkaConsumer, KafkaPublisher, ask_broker
from shared.infra.keys import read_signing_key
from shared.infra.stream import StatefulStream, StreamSettings
from shared.kernel.backoff import Backoff
from shared.kernel.errors import TransientError
from shared.runtime.consuming import bury, consume
from shared.runtime.dependencies import depending
from shared.runtime.lifecycle import Runtime, Task, run_service
from shared.runtime.log import logger
from shared.runtime.metrics import STREAM_GAPS
from shared.runtime.settings import read_settings
from shared.runtime.tasks import every

NAME = "decider"
MATCH_GROUP = "sre-decider-match"
_BACKOFF = Backoff()
_LOOK_EVERY = timedelta(seconds=1)


class Decider:
    """The stream and the tasks beside it, which wait until its table is recovered."""

    def __init__(
        self,
        settings: DeciderSettings,
        publisher: Publisher,
        *,
        runtime: Runtime,
        stream: Callable[[Following], Stream],
    ) -> None:
        self._runtime = runtime
        self._in_force = InForce()
        self._check = runtime.health.watch("stream")
        self._wakes = Wakes(publisher, runtime.clock)
        self._generation = -1
        self._refused: set[str] = set()
        self._stored_check = runtime.health.watch("stored-playbook")
        self.matching = Matching(publisher, self._in_force)
        self._deciding = Deciding(
            publisher,
            self._in_force,
            wakes=self._wakes,
            bury=lambda record, poison: bury(record, poison, publisher=publisher, runtime=runtime),
        )
        self._activation = Activation(
            PlaybookFile(settings.playbook_file),
            publisher,
            clock=runtime.clock,
            check=runtime.health.watch("playbook"),
        )
        self._stream = stream(
            Following(absorb=self._absorb, position=self._deciding.position, on_gap=self._note_gap, offset_of=offset_of)
        )

    async def stream(self) -> None:
        """Follow the inbox until told to stop; what makes Faust crash ends the process."""
        await self._stream.start()
        ended = asyncio.create_task(self._stream.wait_until_stopped())
        stopping = asyncio.create_task(self._runtime.stopping.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            await self._stream.stop()
        await ended

    async def look(self) -> None:
        """Take up changes around the stream: its partitions, its recovery, the playbook's file."""
        if not self._stream.is_recovered:
            self._check.bad("recovering the table from its changelog")
            return
        self._check.ok()
        if self._generation != self._stream.generation:
            await self._take_over(self._stream.generation)
        known = self._known()
        for playbook in known:
            if playbook is not None:
                self._in_force.set(playbook)
                break
        await self._activation.look(self._in_force, known)
        self._tell_of_refused()

    async def wake(self) -> None:
        """Write the wake-ups whose moment has come."""
        if self._stream.is_recovered:
            await self._wakes.send_due()

    async def _take_over(self, generation: int) -> None:
        """Go on from what the table says; it may be another's work, also where the partitions are the same."""
        pass_by(CrashPoint.RECOVERED)
        await self._stream.realign()
        pass_by(CrashPoint.REALIGNED)
        self._wakes.recover(self._stream.rows)
        self._activation.doubt()
        self._generation = generation

    async def _absorb(self, record: Record, rows: Table) -> Step:
        """Decide a record, however long the broker is away: Faust counts what fails as done."""
        attempt = 0
        while True:
            try:
                return await self._deciding.absorb(record, rows)
            except TransientError as failed:
                attempt += 1
                self._check.bad(str(failed))
                await self._runtime.clock.sleep(_BACKOFF.delay(attempt, key=NAME))

    def _known(self) -> list[Playbook | None]:
        return [self._deciding.playbook(partition, self._stream.rows) for partition in sorted(self._stream.partitions)]

    def _tell_of_refused(self) -> None:
        """Say which stored playbooks this release cannot use; none of their rules acts until the file's is in force."""
        found = (self._deciding.refused(number, self._stream.rows) for number in sorted(self._stream.partitions))
        refused = {one.hash: one.why for one in found if one is not None}
        for name in refused.keys() - self._refused:
            logger().error("playbook.stored_refused", hash=name, reason=refused[name])
        self._refused = set(refused)
        if refused:
            self._stored_check.bad("; ".join(refused[name] for name in sorted(refused)))
        else:
            self._stored_check.ok()

    def _note_gap(self, partition: int, expected: int, found: int) -> None:
        STREAM_GAPS.labels(partition=str(partition)).inc(found - expected)


@asynccontextmanager
async def wire(runtime: Runtime, settings: DeciderSettings) -> AsyncGenerator[Mapping[str, Task]]:
    """Open the adapters and yield the tasks that run on them."""
    read_playbook(settings.playbook_file)  # a broken one at the start is the operator's to mend, before anything runs
    seal = command_seal(read_signing_key(settings.signing_key_file), settings.cluster)
    async with (
        depending(runtime, kafka=partial(ask_broker, settings.kafka_bootstrap)),
        KafkaPublisher(settings.kafka_bootstrap, source=NAME, seal=seal) as publisher,
        KafkaConsumer(
            settings.kafka_bootstrap,
            topics=SIGNAL_TOPICS,
            group=MATCH_GROUP,
            session_timeout=settings.session_timeout,
        ) as signals,
    ):
        decider = Decider(
            settings, publisher, runtime=runtime, stream=lambda following: _faust_stream(settings, following)
        )
        yield {
            "stream": decider.stream,
            "match": lambda: consume(
                signals, decider.matching.handle, publisher=publisher, runtime=runtime, name="signal"
            ),
            "look": lambda: every(_LOOK_EVERY, decider.look, runtime=runtime),
            "wake": lambda: every(WAKE_EVERY, decider.wake, runtime=runtime),
        }


def _faust_stream(settings: DeciderSettings, following: Following) -> Stream:
    return StatefulStream(
        StreamSettings(
            bootstrap=settings.kafka_bootstrap,
            app=DECIDER_APP,
            table=WORKLOADS_TABLE,
            inbox=INBOX,
            instance=settings.instance,
            session_timeout=settings.session_timeout,
        ),
        following,
    )


def main() -> int:
    """Run the decider until it is told to stop; return the exit code."""
    settings = read_settings(DeciderSettings)
    return run_service(NAME, settings, lambda runtime: wire(runtime, settings))
