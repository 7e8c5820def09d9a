"""The consume loop: read, decode, handle, commit. Poison is buried, a transient error tried again, the rest crashes."""

import base64
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from time import perf_counter

from shared.contracts.codec import Envelope, Record, decode
from shared.contracts.deadletters import DeadLetter
from shared.contracts.topics import DEAD_LETTERS
from shared.infra.broker import WAIT, Consumer, Publisher
from shared.infra.crashing import CrashPoint, pass_by
from shared.kernel.backoff import Backoff
from shared.kernel.clock import from_millis
from shared.kernel.errors import PoisonError, TransientError
from shared.kernel.ids import derive
from shared.runtime.health import Check
from shared.runtime.lifecycle import Runtime
from shared.runtime.log import logger
from shared.runtime.lookahead import Lookahead, Urgency
from shared.runtime.metrics import BURIED, HANDLED, HANDLING_SECONDS, RETRIES
from shared.runtime.tasks import pause

Handle = Callable[[Envelope], Awaitable[None]]
_BACKOFF = Backoff()
_KEPT_BYTES = 512 << 10
"""What a letter holds of a record: in base64, and with all else, it must be a message that the broker takes."""
_ERROR_CHARS = 2_000
"""What a letter says at most of what is wrong, which may be in the words of whoever wrote the record."""


async def consume(consumer: Consumer, handle: Handle, *, publisher: Publisher, runtime: Runtime, name: str) -> None:
    """Handle each message until the service stops; an offset is committed after the effect, so none is lost.

    A message that meets a transient error is tried again until it succeeds: those behind it wait, in order.
    """
    check = runtime.health.watch(f"consume-{name}")
    loop = _Loop(handle, publisher=publisher, runtime=runtime, name=name)
    failures = 0
    while not runtime.stopping.is_set():
        try:
            await _one_batch(consumer, loop)
        except TransientError as failed:
            failures += 1
            _note(check, name, failed)
            await pause(_BACKOFF.delay(failures, key=name), runtime)
        else:
            failures = 0
            check.ok()


async def consume_most_urgent_first(
    consumer: Consumer, handle: Handle, *, urgency: Urgency, publisher: Publisher, runtime: Runtime, name: str
) -> None:
    """Handle messages as `consume` does, of those that were fetched the most urgent first.

    Committed is only what nothing unhandled stands before in its partition. What was done beyond that comes again after
    a crash, as does anything that was not committed: handling it twice must do it once.
    """
    check = runtime.health.watch(f"consume-{name}")
    loop, line = _Loop(handle, publisher=publisher, runtime=runtime, name=name), Lookahead(urgency)
    failures = 0
    while not runtime.stopping.is_set():
        try:
            await _most_urgent(consumer, line, loop)
        except TransientError as failed:
            failures += 1
            _note(check, name, failed)
            await pause(_BACKOFF.delay(failures, key=name), runtime)
        else:
            failures = 0
            check.ok()


async def bury(record: Record, poison: PoisonError, *, publisher: Publisher, runtime: Runtime) -> None:
    """Write a record that can never be handled to the dead letters, with its coordinates and the reason.

    One that is too large for a letter is left where it lies: a letter that the broker refuses would be tried for ever.
    """
    kept, error = _fit_for_a_letter(record, str(poison)[:_ERROR_CHARS])
    letter = DeadLetter(
        id=derive("deadletter", runtime.name, record.place),
        at=runtime.clock.now(),
        service=runtime.name,
        error=error,
        topic=record.topic,
        partition=record.partition,
        offset=record.offset,
        timestamp=from_millis(record.timestamp_ms),
        key_base64=_text(kept.key),
        value_base64=_text(kept.value),
        headers_base64=tuple((name, _text(value) or "") for name, value in kept.headers),
    )
    await publisher.publish(letter, topic=DEAD_LETTERS)
    pass_by(CrashPoint.LETTER_PUBLISHED)
    BURIED.labels(service=runtime.name).inc()
    logger().error("message.buried", place=record.place, error=error)


def _fit_for_a_letter(record: Record, error: str) -> tuple[Record, str]:
    headers = sum(len(name) + len(value or b"") for name, value in record.headers)
    size = len(record.key or b"") + len(record.value or b"") + headers
    if size <= _KEPT_BYTES:
        return record, error
    return record._replace(key=None, value=None, headers=()), f"{error}; its {size} bytes are left where they lie"


async def _one_batch(consumer: Consumer, loop: "_Loop") -> None:
    records = await consumer.batch()
    done: list[Record] = []
    try:
        for record in records:
            if loop.is_stopping:
                break
            await loop.take(record)
            done.append(record)
    except TransientError:
        await consumer.rewind(records[len(done) :])
        await _commit(consumer, done)
        raise
    await _commit(consumer, done)


async def _most_urgent(consumer: Consumer, line: Lookahead, loop: "_Loop") -> None:
    if line.room > 0:
        line.add(await consumer.batch(max_records=line.room, within=WAIT if line.is_idle else timedelta(0)))
    record = line.first()
    if record is not None and not loop.is_stopping:
        await loop.take(record)
        line.done(record)
    await _commit(consumer, line.committable)
    line.committed()


async def _commit(consumer: Consumer, done: Sequence[Record]) -> None:
    if done:
        pass_by(CrashPoint.BEFORE_SIGNAL_COMMIT)
        await consumer.commit(done)
        pass_by(CrashPoint.SIGNAL_COMMITTED)


def _note(check: Check, name: str, failed: TransientError) -> None:
    if check.state.reason != str(failed):
        logger().warning("loop.waiting", loop=name, reason=str(failed))
    check.bad(str(failed))
    RETRIES.labels(loop=name).inc()


class _Loop:
    def __init__(self, handle: Handle, *, publisher: Publisher, runtime: Runtime, name: str) -> None:
        self._handle = handle
        self._publisher = publisher
        self._runtime = runtime
        self._name = name

    @property
    def is_stopping(self) -> bool:
        return self._runtime.stopping.is_set()

    async def take(self, record: Record) -> None:
        began = perf_counter()
        try:
            envelope = decode(record)
            await self._handle(envelope)
        except PoisonError as poison:
            await bury(record, poison, publisher=self._publisher, runtime=self._runtime)
            return
        self._note(envelope, perf_counter() - began)

    def _note(self, envelope: Envelope, seconds: float) -> None:
        message = envelope.message
        HANDLED.labels(loop=self._name, type=message.TYPE).inc()
        HANDLING_SECONDS.labels(loop=self._name).observe(seconds)
        logger().info(
            f"{self._name}.handled",
            type=message.TYPE,
            id=message.id,
            key=message.key,
            ms=round(seconds * 1000, 1),
        )


def _text(raw: bytes | None) -> str | None:
    return base64.b64encode(raw).decode() if raw is not None else None
