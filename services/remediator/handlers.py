"""The order of the doing: claim, admit, capture, act, tell, keep. A crash anywhere in between is settled by looking."""

import asyncio

from services.remediator.adapters.acting import Actor, Done, Refused
from services.remediator.adapters.capturing import Capture
from services.remediator.core.admission import World, admit
from services.remediator.records import Records
from services.remediator.settings import RemediatorSettings
from shared.contracts.codec import Envelope, body_of
from shared.contracts.commands import Command
from shared.contracts.inbox import EvidenceRef, Outcome, Result
from shared.contracts.topics import EVIDENCE, INBOX
from shared.infra.broker import Publisher
from shared.infra.redis import PAUSE_KEY, Lease, Redis, Term
from shared.kernel.clock import Clock
from shared.kernel.errors import UnavailableError
from shared.kernel.ids import derive


class Tenure:
    """This process' hold on the lease, by its loop's monotonic clock: it ends here before it can end in the store."""

    def __init__(self, term: Term, *, until: float) -> None:
        self.term = term
        self._until = until

    @property
    def is_held(self) -> bool:
        """Tell whether the hold is certain."""
        return asyncio.get_running_loop().time() < self._until

    def extend(self, until: float) -> None:
        """Hold on until a moment of the loop's clock."""
        self._until = until

    def end(self) -> None:
        """Let go."""
        self._until = 0.0

    def check(self) -> None:
        """Refuse to go on when the hold may be over.

        Raises:
            UnavailableError: it may be over.
        """
        if not self.is_held:
            raise UnavailableError("the lease may be somebody else's by now")


class Remediation:
    """Carry out commands while a tenure lasts."""

    def __init__(  # noqa: PLR0913 - what is done in order is done by many
        self,
        publisher: Publisher,
        actor: Actor,
        capture: Capture,
        *,
        records: Records,
        lease: Lease,
        redis: Redis,
        tenure: Tenure,
        clock: Clock,
        settings: RemediatorSettings,
    ) -> None:
        self._publisher = publisher
        self._actor = actor
        self._capture = capture
        self._records = records
        self._lease = lease
        self._redis = redis
        self._tenure = tenure
        self._clock = clock
        self._settings = settings

    async def handle(self, envelope: Envelope) -> None:
        """Carry a command out once, and publish its result, however often it is delivered.

        Raises:
            UnavailableError: something does not answer; the next delivery goes on from what is known by then.
        """
        command = envelope.message
        if not isinstance(command, Command):
            return
        self._tenure.check()
        claim = await self._lease.claim(self._tenure.term, command.id)
        if claim is None:
            self._tenure.end()
            self._tenure.check()
        elif claim.result:
            result = Result.model_validate_json(claim.result)
            await self._publisher.publish(result, topic=INBOX, traceparent=envelope.traceparent)
            await self._records.keep(command, result, traceparent=envelope.traceparent)
        else:
            await self._carry_out(command, is_new=claim.is_new, traceparent=envelope.traceparent)

    async def _carry_out(self, command: Command, *, is_new: bool, traceparent: str | None) -> None:
        is_done = not is_new and not command.dry_run and await self._actor.has_happened(command)
        result = self._found_done(command) if is_done else await self._attempt(command, traceparent)
        await self._publisher.publish(result, topic=INBOX, traceparent=traceparent)
        await self._lease.settle(command.id, body_of(result).decode())
        await self._records.keep(command, result, traceparent=traceparent)

    async def _attempt(self, command: Command, traceparent: str | None) -> Result:
        world = World(
            now=self._clock.now(),
            paused=bool(await self._redis.run("EXISTS", PAUSE_KEY)),
            protected_namespaces=self._settings.protected_namespaces,
        )
        refusal = admit(command, world)
        if refusal is not None:
            return self._result(command, Outcome.REFUSED, refusal.value)
        evidence = await self._capture.evidence(command, now=world.now)
        placed = await self._publisher.publish(evidence, topic=EVIDENCE, traceparent=traceparent)
        ref = EvidenceRef(id=evidence.id, partition=placed.partition, offset=placed.offset)
        dry_run = command.dry_run or self._settings.dry_run
        self._tenure.check()
        done = await self._actor.act(command, token=self._tenure.term.token, dry_run=dry_run)
        return self._told(command, done, ref, dry_run=dry_run)

    def _told(self, command: Command, done: Done | Refused, evidence: EvidenceRef, *, dry_run: bool) -> Result:
        if isinstance(done, Refused):
            return self._result(command, Outcome.REFUSED, done.refusal.value, message=done.message, evidence=evidence)
        outcome = Outcome.DRY_RUN if dry_run else Outcome.APPLIED
        return self._result(command, outcome, outcome.value, changes=done.changes, evidence=evidence)

    def _found_done(self, command: Command) -> Result:
        """Return the result of a command whose doer died before it could tell."""
        return self._result(command, Outcome.APPLIED, "found-applied")

    def _result(
        self,
        command: Command,
        outcome: Outcome,
        reason: str,
        *,
        message: str = "",
        changes: tuple[str, ...] = (),
        evidence: EvidenceRef | None = None,
    ) -> Result:
        return Result(
            id=derive("result", command.id),
            at=self._clock.now(),
            workload=command.workload,
            command=command.id,
            incident=command.incident,
            action=command.action,
            outcome=outcome,
            reason=reason,
            message=message,
            changes=changes,
            token=self._tenure.term.token,
            evidence=evidence,
        )
