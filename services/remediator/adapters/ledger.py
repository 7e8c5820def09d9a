"""Keeps what was spent on its topic, and follows which incidents are over: a new leader reads both before it acts."""

from datetime import timedelta

from services.remediator.core.brake import Place, Spendings
from services.remediator.trust import OwnTrust
from shared.contracts.codec import Record, decode
from shared.contracts.commands import Command
from shared.contracts.incidents import Incident
from shared.contracts.spendings import Spending
from shared.contracts.topics import INCIDENTS, SPENDINGS
from shared.infra.broker import Archive, Publisher
from shared.kernel.clock import Clock
from shared.kernel.errors import PoisonError
from shared.kernel.ids import derive

FRESH = timedelta(seconds=2)
"""How old what is known of the incidents may be: what is not known to be over counts as open."""
_NODE = b'"kind":"Node"'


class Ledger:
    """What counts for the brake, read from the topics once and followed from then on, under one leader's token."""

    def __init__(self, publisher: Publisher, archive: Archive, *, trust: OwnTrust, token: int, clock: Clock) -> None:
        self._publisher = publisher
        self._archive = archive
        self._trust = trust
        self._token = token
        self._clock = clock
        self._spendings: Spendings | None = None
        self._nodes: dict[str, str] = {}
        self._read_to: dict[int, int] = {}
        self._fresh_until = clock.now()

    async def spendings(self) -> Spendings:
        """Return all that counts now.

        Raises:
            UnavailableError: the broker does not answer.
        """
        now = self._clock.now()
        spendings = self._spendings if self._spendings is not None else await self._opened()
        if not self._fresh_until - FRESH <= now < self._fresh_until:
            spendings = await self._followed(spendings)
            self._fresh_until = now + FRESH
        self._spendings = spendings.at(now)
        return self._spendings

    @property
    def nodes_in_trouble(self) -> frozenset[str]:
        """Return the nodes on which an incident is open, as of the last spendings that were asked for."""
        return frozenset(self._nodes.values())

    async def spend(self, command: Command, place: Place) -> None:
        """Note that a command is about to be carried out; noting it again notes it once, at the later moment.

        Raises:
            UnavailableError: the broker does not answer; it may have been noted all the same.
        """
        await self._note(command, place, given_back=False)

    async def give_back(self, command: Command) -> None:
        """Note that nothing was changed after all; what another leader took may still be on its way, and stays taken.

        Raises:
            UnavailableError: the broker does not answer; it may have been noted all the same.
        """
        taken = (await self.spendings()).by_command.get(command.id)
        if taken is not None and taken.token == self._token and not taken.is_given_back:
            await self._note(command, taken.place, given_back=True)

    async def _note(self, command: Command, place: Place, *, given_back: bool) -> None:
        told = Spending(
            id=derive("spending", command.id, self._token, int(given_back)),
            at=self._clock.now(),
            command=command.id,
            incident=command.incident,
            workload=place.workload,
            node=place.node,
            token=self._token,
            given_back=given_back,
        )
        before = await self.spendings()
        await self._publisher.publish(told, topic=SPENDINGS, partition=0)
        self._spendings = before.with_told(told)

    async def _opened(self) -> Spendings:
        spendings = Spendings()
        async for record in self._trust.believed(self._archive.read(SPENDINGS)):
            told = _message(record)
            if isinstance(told, Spending):
                spendings = spendings.with_told(told)
        self._fresh_until = self._clock.now()
        return spendings

    async def _followed(self, spendings: Spendings) -> Spendings:
        """Read on in the incidents; of the many only those are decoded that a spending or a node is about."""
        incidents = {one.incident.encode() for one in spendings.by_command.values() if one.is_open}
        async for record in self._archive.read(INCIDENTS, start=dict(self._read_to)):
            if record.key in incidents or _NODE in (record.value or b""):
                told = _message(record)
                if isinstance(told, Incident):
                    spendings = spendings.with_incident(told)
                    self._note_node(told)
            self._read_to[record.partition] = record.offset + 1
        return spendings

    def _note_node(self, incident: Incident) -> None:
        if incident.workload.kind != "Node":
            return
        self._nodes.pop(incident.id, None)
        if not incident.phase.is_final:
            self._nodes[incident.id] = incident.workload.name


def _message(record: Record) -> object:
    try:
        return decode(record).message
    except PoisonError:
        return None
