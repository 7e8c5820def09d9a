"""The order of the doing: questions to the read model, alerts to signals, a person's fitting word to the inbox."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from http import HTTPStatus

from services.api.adapters.probing import ServiceStatus, probe
from services.api.adapters.read_model import ReadModel
from services.api.core.alerts import Notification, signal_of
from services.api.core.people import Person
from services.api.core.playbooks import PlaybookStatus, playbook_status
from services.api.core.rules import RuleStatus, rule_statuses
from services.api.core.timeline import TimelineEntry, timeline
from services.api.problems import FieldFault, ProblemError, ProblemReason
from shared.contracts.actions import Action
from shared.contracts.approvals import Terms, objection_to, told
from shared.contracts.inbox import Approval, ManualAction, Pause, Resume
from shared.contracts.incidents import Incident, Phase
from shared.contracts.reports import Report
from shared.contracts.signals import AlertSignal
from shared.contracts.stops import Stop, Way
from shared.contracts.topics import INBOX, SIGNALS_PROMETHEUS, STOPS
from shared.contracts.workloads import WorkloadRef
from shared.infra.broker import Publisher
from shared.kernel.clock import Clock
from shared.kernel.errors import UnavailableError
from shared.kernel.ids import derive

_CLOCKS_DIFFER = timedelta(minutes=5)


class Questions:
    """What people and programs may ask."""

    def __init__(self, model: ReadModel, services: Mapping[str, str]) -> None:
        self.model = model
        self._services = services

    async def incident(self, incident: str) -> Incident:
        """Return an incident.

        Raises:
            ProblemError: there is none of that id (404).
        """
        found = await self.model.incident(incident)
        if found is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, ProblemReason.INCIDENT_UNKNOWN, f"no incident has the id {incident!r}"
            )
        return found

    async def timeline(self, incident: str) -> list[TimelineEntry]:
        """Return an incident's story.

        Raises:
            ProblemError: there is none of that id (404).
        """
        found = await self.incident(incident)
        return timeline(
            found,
            await self.model.decisions_of(incident),
            evidence=await self.model.evidence_of(incident),
            report=await self.model.report(incident),
        )

    async def report(self, incident: str) -> Report:
        """Return an incident's report.

        Raises:
            ProblemError: there is no such incident, or no report yet (404).
        """
        await self.incident(incident)
        found = await self.model.report(incident)
        if found is None:
            detail = f"no report is written yet about {incident!r}; it follows once evidence is captured"
            raise ProblemError(HTTPStatus.NOT_FOUND, ProblemReason.REPORT_NOT_WRITTEN, detail)
        return found

    async def playbook(self) -> PlaybookStatus | None:
        """Return the playbook in force, and what is wrong with its file; None until one is in force."""
        playbook = await self.model.playbook()
        return playbook_status(playbook, await self.model.playbook_load()) if playbook is not None else None

    async def rules(self, since: date | None) -> list[RuleStatus]:
        """Return each rule with its score, of the last month or from a day on."""
        return rule_statuses(await self.model.playbook(), await self.model.scores(since))

    async def services(self) -> list[ServiceStatus]:
        """Return the status of each service."""
        return await probe(self._services)


class Alerts:
    """What Alertmanager tells."""

    def __init__(self, publisher: Publisher, *, cluster: str, clock: Clock) -> None:
        self._publisher = publisher
        self._cluster = cluster
        self._clock = clock

    async def tell(self, notification: Notification) -> int:
        """Publish each alert, acknowledged when it returns; return how many.

        Raises:
            ProblemError: an alert is of the future (422): it would be newer than all that is done about it.
            UnavailableError: the broker does not answer; told again, what was published keeps its id.
        """
        signals = [signal_of(alert, cluster=self._cluster) for alert in notification.alerts]
        _refuse_future(signals, self._clock.now() + _CLOCKS_DIFFER)
        try:
            async with asyncio.TaskGroup() as group:
                for signal in signals:
                    group.create_task(self._publisher.publish(signal, topic=SIGNALS_PROMETHEUS))
        except* UnavailableError as failed:
            raise failed.exceptions[0] from failed
        return len(signals)


def _refuse_future(signals: Sequence[AlertSignal], latest: datetime) -> None:
    faults = [
        FieldFault(field=f"body.alerts.{place}.{_moment_of(signal)}", expected=f"a moment that has come by {latest}")
        for place, signal in enumerate(signals)
        if signal.at > latest
    ]
    if faults:
        detail = f"{len(faults)} of {len(signals)} alerts are of the future; do the clocks agree?"
        status, reason = HTTPStatus.UNPROCESSABLE_ENTITY, ProblemReason.INVALID_REQUEST
        raise ProblemError(status, reason, detail, faults=faults)


def _moment_of(signal: AlertSignal) -> str:
    """Return the field of the webhook that a signal has its moment from."""
    return "startsAt" if signal.at == signal.starts_at else "endsAt"


@dataclass(frozen=True, slots=True)
class Resumed:
    """The stop that is over, and those that hold on."""

    lifted: Stop
    in_force: list[Stop]


class Interventions:
    """What people may change; all of it goes through the inbox, so that it is decided, kept and replayed."""

    def __init__(self, model: ReadModel, publisher: Publisher, clock: Clock) -> None:
        self._model = model
        self._questions = Questions(model, {})
        self._publisher = publisher
        self._clock = clock

    async def answer(self, incident: str, *, version: str, approved: bool, person: Person, note: str) -> Approval:
        """Approve or reject the step that an incident waits with, as it was shown in a version.

        Raises:
            ProblemError: it waits with no step, or has changed since (409), is not known (404), or this person may not
                approve it (403).
        """
        found = await self._questions.incident(incident)
        _refuse_unfit(found, version)
        if approved:
            _refuse_person(found, person)
        approval = Approval(
            id=derive("approval", incident, found.step, found.attempt, str(approved), person.name),
            at=self._clock.now(),
            workload=found.workload,
            incident=incident,
            step=found.step,
            approved=approved,
            by=person.name,
            roles=person.roles,
            version=version,
            note=note,
        )
        await self._publisher.publish(approval, topic=INBOX)
        return approval

    async def act(self, workload: WorkloadRef, action: Action, *, dry_run: bool, by: str, note: str) -> ManualAction:
        """Ask for an action; the playbook's limits and the remediator's hold for it as for any other."""
        now = self._clock.now()
        asked = ManualAction(
            id=derive("manual", workload.key, action.model_dump_json(), by, now.isoformat()),
            at=now,
            workload=workload,
            action=action,
            dry_run=dry_run,
            by=by,
            note=note,
        )
        await self._publisher.publish(asked, topic=INBOX)
        return asked

    async def pause(self, *, by: str, cause: str) -> Stop:
        """Stop all writes: first those that are ordered already, then those to come. It adds to what others stopped.

        Raises:
            UnavailableError: the broker does not answer; the stop may be in force all the same.
        """
        now = self._clock.now()
        stop = Stop(id=derive("stop", by, now.isoformat()), at=now, way=Way.API, holds=True, by=by, cause=cause)
        await self._publisher.publish(stop, topic=STOPS, partition=0)
        pause = Pause(id=derive("pause", by, now.isoformat()), at=now, by=by, cause=cause)
        await self._publisher.broadcast(pause, topic=INBOX)
        with suppress(UnavailableError):  # it is in force, and is shown once the store is back
            await self._model.note(stop)
        return stop

    async def resume(self, *, by: str, of: str = "") -> Resumed:
        """Lift a person's own stop, or that of the one who is named; what others have stopped holds on.

        Raises:
            ProblemError: this person has stopped nothing by the API (409).
        """
        owner = of or by
        in_force = await self._model.stops()
        stop = next((one for one in in_force if one.way is Way.API and one.by == owner), None)
        if stop is None:
            raise _not_paused(in_force, owner)
        now = self._clock.now()
        resume = Resume(id=derive("resume", owner, by, now.isoformat()), at=now, by=by, of=owner)
        await self._publisher.broadcast(resume, topic=INBOX)
        name = derive("stop-lifted", owner, by, now.isoformat())
        lifted = stop.model_copy(update={"id": name, "at": now, "holds": False, "lifted_by": by})
        await self._publisher.publish(lifted, topic=STOPS, partition=0)
        await self._model.note(lifted)
        return Resumed(lifted=stop, in_force=[one for one in in_force if one.key != stop.key])


def _refuse_unfit(found: Incident, version: str) -> None:
    if found.phase is not Phase.AWAITING_APPROVAL:
        detail = f"the incident awaits no approval; it is {found.phase.value} ({found.reason.value})"
        raise ProblemError(HTTPStatus.CONFLICT, ProblemReason.APPROVAL_NOT_AWAITED, detail)
    if version != found.version:
        now = "; ".join(found.steps[-1].changes) if found.steps else ""
        place = f"step {found.step}, attempt {found.attempt}, of {found.at.isoformat(timespec='seconds')}"
        detail = f"it is not what was shown any more: it now waits with {place}: {now}; look at it again"
        raise ProblemError(HTTPStatus.CONFLICT, ProblemReason.APPROVAL_STALE, detail)


def _refuse_person(found: Incident, person: Person) -> None:
    """Refuse early whom the decider would refuse, as far as the incident tells."""
    terms = found.approval or Terms()
    objection = objection_to(person.name, person.roles, terms=terms)
    if objection is not None:
        raise ProblemError(HTTPStatus.FORBIDDEN, ProblemReason(objection.value), told(objection, terms=terms))


def _not_paused(in_force: Sequence[Stop], owner: str) -> ProblemError:
    reason = ProblemReason.NOT_PAUSED
    if any(one.way is Way.API for one in in_force):
        reason = ProblemReason.PAUSED_BY_ANOTHER
    others = "; ".join(f"{one.words} ({_how_lifted(one)})" for one in in_force)
    detail = f"nothing is paused by {owner} through the API{f', but {others}' if others else ''}"
    return ProblemError(HTTPStatus.CONFLICT, reason, detail)


def _how_lifted(stop: Stop) -> str:
    return f'to be lifted by its owner, or as of="{stop.by}"' if stop.way is Way.API else "to be lifted in the cluster"
