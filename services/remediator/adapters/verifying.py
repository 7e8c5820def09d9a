"""Reads the audit trail, of the topic or of a file, and holds it against the results in the inbox."""

from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from services.remediator.core.trail import Break, Trail, compared, token_of
from shared.contracts.codec import Record, decode
from shared.contracts.inbox import Outcome, Result
from shared.contracts.signatures import Doubt
from shared.contracts.topics import AUDIT, INBOX
from shared.infra.broker import Archive
from shared.kernel.clock import from_millis
from shared.kernel.errors import ConfigError, PoisonError


@dataclass(frozen=True, slots=True)
class Told:
    """The outcomes that the inbox tells of each command, and since when it holds all of them; None is for ever."""

    outcomes: dict[str, list[Outcome]]
    since: datetime | None


Doubtful = Callable[[Record], Doubt | None]
"""Tells why a record is not believed; None if it is."""


async def trail_of_topic(archive: Archive, *, doubtful: Doubtful | None = None) -> Trail:
    """Return the trail that the topic holds; with `doubtful`, of what is believed alone.

    Entries from before records were signed are of the chain, too, and counted: none can be put in there later.

    Raises:
        UnavailableError: the broker does not answer.
    """
    trail, old, has_begun = Trail(), list[Record](), False
    async for record in archive.read(AUDIT):
        doubt = doubtful(record) if doubtful is not None else None
        if doubt is Doubt.UNSIGNED and not has_begun:
            old.append(record)
        elif doubt is not None:
            trail.doubt(record.place, doubt.value)
        else:
            _follow_old(trail, [] if has_begun else old, first_signed=record)
            has_begun = True
            _follow(trail, record)
    if not has_begun:
        _follow_old(trail, old, first_signed=None)
    return trail


def _follow_old(trail: Trail, records: Sequence[Record], *, first_signed: Record | None) -> None:
    """Take what was written before records were signed; under a token above the first signed one's it was made up."""
    for record in records:
        if first_signed is not None and token_of(record.value) > token_of(first_signed.value):
            trail.doubt(record.place, Doubt.UNSIGNED.value)
        else:
            trail.unsigned += 1
            _follow(trail, record)


def _follow(trail: Trail, record: Record) -> None:
    trail.follow(record.value, record.place, is_first_ever=record.offset == 0)


async def values_of_topic(archive: Archive) -> AsyncIterator[bytes]:
    """Yield the entries of the topic as they lie there.

    Raises:
        UnavailableError: the broker does not answer.
    """
    async for record in archive.read(AUDIT):
        yield record.value or b""


def trail_of_file(path: Path) -> Trail:
    """Return the trail of a file with one entry a line, as `audit export` or a console consumer of Kafka writes it.

    Raises:
        ConfigError: there is no such file that can be read.
    """
    trail = Trail()
    for number, line in enumerate(_lines(path), start=1):
        trail.follow(line, f"{path}:{number}")
    return trail


async def told_results(archive: Archive) -> Told:
    """Return what the inbox holds of results.

    Raises:
        UnavailableError: the broker does not answer.
    """
    outcomes: dict[str, list[Outcome]] = defaultdict(list)
    begins: dict[int, Record] = {}
    async for record in archive.read(INBOX):
        begins.setdefault(record.partition, record)
        if (result := _result(record)) is not None:
            outcomes[result.command].append(result.outcome)
    cut = [from_millis(record.timestamp_ms) for record in begins.values() if record.offset > 0]
    return Told(dict(outcomes), max(cut, default=None))


async def against_results(archive: Archive, *, doubtful: Doubtful | None = None) -> tuple[Trail, Sequence[Break]]:
    """Return the topic's trail, and where results and entries differ; an entry follows its result, so it is read later.

    Raises:
        UnavailableError: the broker does not answer.
    """
    told = await told_results(archive)
    trail = await trail_of_topic(archive, doubtful=doubtful)
    late_results = await told_results(archive)  # of entries that were written meanwhile
    missing = compared(trail, told.outcomes, since=told.since)
    return trail, [one for one in missing if one in compared(trail, late_results.outcomes, since=late_results.since)]


def _result(record: Record) -> Result | None:
    try:
        message = decode(record).message
    except PoisonError:
        return None
    return message if isinstance(message, Result) else None


def _lines(path: Path) -> list[bytes]:
    try:
        return [line for line in path.read_bytes().split(b"\n") if line]
    except OSError as unreadable:
        raise ConfigError(f"{path}: cannot be read: {unreadable.strerror}") from unreadable
