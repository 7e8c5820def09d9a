"""The order of the doing: claim, admit, capture, act, settle, tell, keep. A crash in between is settled by looking.

What a command came to is settled in the store, by the lease's holder alone, before anybody is told: so whoever tells it
again after a crash tells the same.
"""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import TypeVar

from services.remediator.adapters.acting import Actor, Refused
from services.remediator.adapters.capturing import Capture
from services.remediator.adapters.predicting import Predictor
from services.remediator.adapters.stopping import Stops
from services.remediator.braking import Brake
from services.remediator.core.admission import World, admit
from services.remediator.core.brake import Verdict
from services.remediator.records import Records
from services.remediator.settings import RemediatorSettings
from services.remediator.tenure import Tenure
from shared.contracts.actions.base import Done, HalfDoneError, StoppedError, UnansweredError, UnsettledError
from shared.contracts.codec import Envelope, body_of
from shared.contracts.commands import Command
from shared.contracts.inbox import EvidenceRef, Outcome, Result
from shared.contracts.refusals import Refusal
from shared.contracts.topics import EVIDENCE, INBOX
from shared.contracts.workloads import WorkloadRef
from shared.infra.broker import Publisher
from shared.infra.crashing import CrashPoint, pass_by
from shared.infra.kube import KubeError
from shared.infra.redis import Lease
from shared.kernel.clock import Clock
from shared.kernel.durations import format_duration
from shared.kernel.errors import UnavailableError
from shared.kernel.ids import derive

_PAUSED_FOR = timedelta(minutes=1)
"""How soon what a stop holds is ordered anew."""
_UNANSWERED = "unanswered"
_OUT_OF_TIME = "out-of-time"
T = TypeVar("T")


class Remediation:
    """Carry out commands while a tenure lasts."""

    def __init__(  # noqa: PLR0913 - what is done in order is done by many
        self,
        publisher: Publisher,
        actor: Callable[[WorkloadRef], Actor],
        capture: Capture,
        *,
        brake: Brake,
        stops: Stops,
        predictor: Predictor,
        records: Records,
        lease: Lease,
        tenure: Tenure,
        clock: Clock,
        settings: RemediatorSettings,
    ) -> None:
        self._publisher = publisher
        self._actor = actor
        self._stops = stops
        self._capture = capture
        self._brake = brake
        self._predictor = predictor
        self._records = records
        self._lease = lease
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
        claim = self._held(await self._lease.claim(self._tenure.term, command.id))
        pass_by(CrashPoint.CLAIMED)
        settled = claim.result or await self._settled(command, is_new=claim.is_new, traceparent=envelope.traceparent)
        await self._tell(command, Result.model_validate_json(settled), traceparent=envelope.traceparent)

    async def _settled(self, command: Command, *, is_new: bool, traceparent: str | None) -> str:
        """Find what became of a command, or carry it out, and return what the store keeps of it from now on."""
        # a store that has forgotten its claims calls new what was carried out: the records know it, and the object
        result = await self._records.recall(command) if is_new else None
        if result is None:
            result = await self._ended(command, is_new=is_new, traceparent=traceparent)
        settled = await self._lease.settle(self._tenure.term, command.id, body_of(result).decode())
        pass_by(CrashPoint.SETTLED)
        return self._held(settled)

    async def _ended(self, command: Command, *, is_new: bool, traceparent: str | None) -> Result:
        # that a pod is gone does not say who took it away; one taken up before was looked at by its first doer
        can_be_told = not command.dry_run and not (is_new and command.action.TOLD_BY_ABSENCE)
        found = await self._found_done(command) if can_be_told else None
        if found is not None:
            return found
        result = await self._attempt(command, traceparent)
        if result.outcome is not Outcome.REFUSED and result.reason != Refusal.SERVER_ERROR.value:
            return result
        # what another leader had sent may have arrived while we were at it, and be why we were refused
        found = await self._found_done(command) if can_be_told else None
        is_undone = result.outcome is Outcome.REFUSED and not result.changes  # what a stop ended half-way was done
        if found is None and is_new and is_undone:
            await self._brake.give_back(command)  # of one taken up before, a request may still be on its way
        if command.action.TRACELESS and not is_new and not command.dry_run:
            return self._unanswered(command, f"taken up before, and since then: {result.reason}: {result.message}")
        return found or result

    async def _tell(self, command: Command, result: Result, *, traceparent: str | None) -> None:
        await self._publisher.publish(result, topic=INBOX, traceparent=traceparent)
        pass_by(CrashPoint.RESULT_PUBLISHED)
        self._tenure.check()  # whoever leads by now keeps the records of what was settled, and in their order
        await self._records.keep(command, result, traceparent=traceparent)
        pass_by(CrashPoint.RECORDED)

    def _held(self, answer: T | None) -> T:
        """Return an answer that the store gives to the lease's holder alone; without one the tenure is over.

        Raises:
            UnavailableError: it is over.
        """
        if answer is None:
            self._tenure.end()
            raise UnavailableError("the lease is somebody else's by now")
        return answer

    async def _attempt(self, command: Command, traceparent: str | None) -> Result:
        world = World(
            now=self._clock.now(),
            protected_namespaces=self._settings.protected_namespaces,
        )
        refusal = admit(command, world)
        if refusal is not None:
            return self._result(command, Outcome.REFUSED, refusal.value)
        stopped = await self._stopped(command)
        if stopped is not None:
            return stopped
        pass_by(CrashPoint.ADMITTED)
        verdict, census = await self._brake.judge(command, now=world.now)
        dry_run = command.dry_run or self._settings.dry_run
        if verdict.refusal is not None and not dry_run:
            return self._braked(command, verdict)
        evidence = await self._capture.evidence(command, now=world.now)
        placed = await self._publisher.publish(evidence, topic=EVIDENCE, traceparent=traceparent)
        ref = EvidenceRef(id=evidence.id, partition=placed.partition, offset=placed.offset)
        pass_by(CrashPoint.CAPTURED)
        if not dry_run:
            await self._brake.spend(command, census)  # before the act: a crash in between must not grant a free one
        done = await self._acted(command, ref, dry_run=dry_run)
        if isinstance(done, Result):
            return done
        if dry_run:
            return await self._foretold(command, done, ref, message=_would_wait(verdict))
        told = self._result(command, Outcome.APPLIED, Outcome.APPLIED.value, changes=done.changes, evidence=ref)
        return told.model_copy(update={"inverse": done.inverse})

    async def _acted(self, command: Command, evidence: EvidenceRef, *, dry_run: bool) -> Done | Result:
        """Return what was done, or the result where nothing was, only a part was, or that is not known."""
        within = self._settings.act_within
        try:
            async with asyncio.timeout(within.total_seconds()):
                done = await self._actor(command.workload).act(command, token=self._tenure.token, dry_run=dry_run)
        except TimeoutError:
            message = f"not at its end after {format_duration(within)}; what is done by then stays"
            return self._result(command, Outcome.UNKNOWN, _OUT_OF_TIME, message=message, evidence=evidence)
        except StoppedError as stopped:
            return self._paused(command, str(stopped), evidence=evidence)
        except HalfDoneError as half:
            return self._half_done(command, half, evidence=evidence)
        except UnsettledError as failed:
            why = Refusal.SERVER_ERROR.value
            return self._result(command, Outcome.UNKNOWN, why, message=str(failed), evidence=evidence)
        except UnansweredError as unanswered:
            return self._unanswered(command, str(unanswered), evidence=evidence)
        if isinstance(done, Refused):
            return self._result(command, Outcome.REFUSED, done.refusal.value, message=done.message, evidence=evidence)
        return done

    async def _foretold(self, command: Command, done: Done, evidence: EvidenceRef, *, message: str) -> Result:
        """Return the result of a dry run, with what is predicted of it."""
        foretold, outcome = await self._predictor.foretold(command, done), Outcome.DRY_RUN
        told = self._result(
            command, outcome, outcome.value, message=message, changes=foretold.changes, evidence=evidence
        )
        return told.model_copy(update={"prediction": foretold.prediction})

    async def _stopped(self, command: Command) -> Result | None:
        """Return the refusal of what a stop holds, or where it must not be looked for one; a dry run writes nothing."""
        if command.dry_run:
            return None
        try:
            stop = await self._stops.over(command.workload)
        except KubeError as refused:
            return self._result(command, Outcome.REFUSED, Refusal.FORBIDDEN.value, message=refused.message)
        return self._paused(command, stop.words) if stop else None

    def _half_done(self, command: Command, half: HalfDoneError, *, evidence: EvidenceRef) -> Result:
        """Return that something was done and the rest was not; where a stop is why, that is put off, and not failed."""
        if half.refusal is Refusal.PAUSED:
            stopped = self._paused(command, half.message, evidence=evidence)
            return stopped.model_copy(update={"changes": half.changes})
        why, told = half.refusal.value, half.message
        return self._result(command, Outcome.FAILED, why, message=told, changes=half.changes, evidence=evidence)

    def _paused(self, command: Command, words: str, *, evidence: EvidenceRef | None = None) -> Result:
        """Return the refusal of what a stop holds: put off, and no failed attempt; a revert is a person's then."""
        put_off = None if command.reverts else _PAUSED_FOR
        reason = Refusal.PAUSED.value
        return self._result(command, Outcome.REFUSED, reason, message=words, evidence=evidence, retry_after=put_off)

    def _unanswered(self, command: Command, message: str, *, evidence: EvidenceRef | None = None) -> Result:
        """Return that it may have been done, where nothing tells: never that it was not."""
        return self._result(command, Outcome.UNKNOWN, _UNANSWERED, message=message, evidence=evidence)

    def _braked(self, command: Command, verdict: Verdict) -> Result:
        reason = verdict.refusal.value if verdict.refusal is not None else ""
        return self._result(command, Outcome.REFUSED, reason, message=verdict.figures, retry_after=verdict.retry_after)

    async def _found_done(self, command: Command) -> Result | None:
        """Return the result of a command whose doer could not tell it any more; None if it has not been carried out."""
        has_happened = await self._actor(command.workload).has_happened(command)
        return self._result(command, Outcome.APPLIED, "found-applied") if has_happened else None

    def _result(
        self,
        command: Command,
        outcome: Outcome,
        reason: str,
        *,
        message: str = "",
        changes: tuple[str, ...] = (),
        evidence: EvidenceRef | None = None,
        retry_after: timedelta | None = None,
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
            token=self._tenure.token,
            evidence=evidence,
            retry_after=retry_after,
        )


def _would_wait(verdict: Verdict) -> str:
    """Return what the brake would have said, had the command been live."""
    return f"the brake would refuse it: {verdict.refusal.value}: {verdict.figures}" if verdict.refusal else ""
