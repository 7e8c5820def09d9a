"""Asks the topics why something was decided, or nothing: about a signal, or about an incident from its opening on."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, field

from services.decider.adapters.replaying import in_force_in
from services.decider.core.inquiry import (
    IncidentAccount,
    SignalAccount,
    account_of_incident,
    account_of_signal,
    concerns,
    incident_in,
    signal_of,
)
from services.decider.core.placing import Told
from services.decider.core.playbook import Playbook
from services.decider.core.replaying import Replay, Taken, signal_in
from shared.contracts.topics import INBOX, SIGNAL_TOPICS, Topic
from shared.infra.broker import Archive
from shared.kernel.clock import from_millis
from shared.kernel.errors import SreAgentError


class NameUnknownError(SreAgentError):
    """Signal that nothing of this id is on the topics."""


async def inquire(archive: Archive, name: str) -> SignalAccount | IncidentAccount:
    """Return the account of a signal, or of what was found on it, or of an incident, by its id.

    Raises:
        NameUnknownError: nothing of this id is on the topics.
        UnavailableError: the broker does not answer.
    """
    heard = await _heard(archive, lambda taken: concerns(taken, name) or _is_of(taken, name))
    story = [taken for taken in heard.taken if concerns(taken, name)]
    if story:
        return await _of_incident(archive, name, story)
    told = await _told(archive, name, heard)
    if told is None:
        expected = "expected the id of a signal (kept a week), of a finding or of an incident (kept a month)"
        raise NameUnknownError(f"nothing of the id {name!r} is on the topics; {expected}")
    if told.signal.id != name:
        heard = await _heard(archive, lambda taken: _is_about(taken, told.signal.id))
    return _of_signal(told, heard)


@dataclass(slots=True)
class _Heard:
    """The entries that are asked about, and the playbook that was in force in each partition at each moment."""

    taken: list[Taken] = field(default_factory=list[Taken])
    activations: list[Taken] = field(default_factory=list[Taken])

    def playbook_at(self, told: Told) -> Playbook | None:
        """Return the playbook that was in force when a signal was told; the first to come where none was yet."""
        here = [one for one in self.activations if one.partition == told.partition] or self.activations
        before = [one for one in here if one.moment <= told.moment]
        chosen = before[-1] if before else next(iter(here), None)
        return chosen.absorbed.partition.playbook if chosen is not None else None


async def _heard(archive: Archive, is_wanted: Callable[[Taken], bool]) -> _Heard:
    replay, heard = Replay(await in_force_in(archive)), _Heard()
    async for record in archive.read(INBOX):
        taken = replay.step(record)
        if taken is None:
            continue
        if taken.absorbed.partition.playbook is not taken.world.playbook:
            heard.activations.append(taken)
        if is_wanted(taken):
            heard.taken.append(taken)
    return heard


async def _of_incident(archive: Archive, name: str, taken: list[Taken]) -> IncidentAccount:
    states = [state for one in taken if (state := incident_in(one, name)) is not None]
    first, last = taken[0].after, next(reversed(states), None)
    if last is None:
        raise NameUnknownError(f"no incident {name!r} is on the topics")
    signal = first.finding.signal if first.manual is None and first.finding is not None else None
    opening = await _opening(archive, signal.id) if signal is not None else None
    return account_of_incident(last, taken, opening=opening)


async def _opening(archive: Archive, name: str) -> SignalAccount | None:
    heard = await _heard(archive, lambda taken: _is_of(taken, name))
    told = await _told(archive, name, heard)
    return _of_signal(told, heard) if told is not None else None


def _of_signal(told: Told, heard: _Heard) -> SignalAccount:
    about = [taken for taken in heard.taken if _is_about(taken, told.signal.id)]
    playbook = about[0].world.playbook if about else heard.playbook_at(told)
    return account_of_signal(told.signal, about, playbook=playbook)


async def _told(archive: Archive, name: str, heard: _Heard) -> Told | None:
    """Return the signal of an id, from its topic or, where that has lost it, from what was found on it."""
    for topic in SIGNAL_TOPICS:
        if (told := await _told_on(archive, topic, name)) is not None:
            return told
    found = [(taken, signal_of(taken.entry)) for taken in heard.taken]
    return next((Told(taken.partition, taken.moment, signal) for taken, signal in found if signal is not None), None)


async def _told_on(archive: Archive, topic: Topic, name: str) -> Told | None:
    async with aclosing(archive.read(topic)) as records:  # it is not read to its end
        async for record in records:
            if dict(record.headers).get("ce_id") == name.encode() and (signal := signal_in(record)) is not None:
                return Told(record.partition, from_millis(record.timestamp_ms), signal)
    return None


def _is_of(taken: Taken, name: str) -> bool:
    return taken.entry.id == name or _is_about(taken, name)


def _is_about(taken: Taken, name: str) -> bool:
    signal = signal_of(taken.entry)
    return signal is not None and signal.id == name
