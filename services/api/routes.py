"""The REST paths: reading is open to whoever reaches the address, changing asks for a token."""

from collections.abc import AsyncIterator, Callable, MutableMapping, Sequence
from datetime import date, timedelta
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Header, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sse_starlette import EventSourceResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.adapters.probing import ServiceStatus
from services.api.adapters.read_model import StreamEntry
from services.api.core.alerts import Notification
from services.api.core.people import Deed, Holder, Person, roles_for, who_brought
from services.api.core.playbooks import PlaybookStatus
from services.api.core.rules import RuleStatus
from services.api.core.showing import IncidentShown, shown
from services.api.core.timeline import TimelineEntry
from services.api.handlers import Alerts, Interventions, Questions, Resumed
from services.api.page.files import page_router
from services.api.problems import (
    MAX_FAULTS,
    MEDIA_TYPE,
    FieldFault,
    Problem,
    ProblemError,
    ProblemReason,
    problem,
)
from services.api.silences import Silences, SilenceStatus
from shared.contracts.actions import Action
from shared.contracts.inbox import Approval, ManualAction, Matchers, Silence, SilenceEnded
from shared.contracts.incidents import Decision
from shared.contracts.model import Moment
from shared.contracts.reports import Report
from shared.contracts.stops import Stop
from shared.contracts.workloads import WorkloadRef
from shared.kernel.errors import UnavailableError

_MAX_LISTED = 500
_SEND_WITHIN = timedelta(seconds=5)
_TEXT_CHARS = 2_000
_BODY_BYTES = 512 << 10
"""A signal and all that quotes it stay below what a broker takes as one message."""
Note = Annotated[str, Field(max_length=_TEXT_CHARS)]
Cause = Annotated[str, Field(min_length=1, max_length=_TEXT_CHARS, pattern=r"\S")]


class Status(BaseModel):
    """The services' health, the stops in force with owner, reason, since and way, and the playbook in force."""

    ready: bool
    stops: list[Stop]
    playbook: PlaybookStatus | None
    services: list[ServiceStatus]


class Answer(BaseModel):
    """A person's answer to an incident as it was shown; `version` guards against a click on what has changed."""

    version: str = Field(min_length=1, max_length=100)
    note: Note = ""


class PauseWords(BaseModel):
    """Why all actions are to stop; shown wherever something did not happen because of it."""

    cause: Cause


class ResumeWords(BaseModel):
    """Whose pause is to end; one's own where nobody is named."""

    model_config = ConfigDict(extra="forbid")

    of: Annotated[str, Field(max_length=_TEXT_CHARS)] = ""


class MatcherWords(Matchers):
    """What a silence is about; a matcher that is misspelled would silence more than is meant."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SilenceWords(BaseModel):
    """What rules are to leave alone, until when, and why; shown wherever something did not happen because of it."""

    model_config = ConfigDict(extra="forbid")

    matchers: MatcherWords
    cause: Cause
    expires_at: Moment


class ActionWords(BaseModel):
    """An action that a person asks for; `workload` is `namespace/kind/name`."""

    workload: str
    action: Action
    dry_run: bool = False
    note: Note = ""


class Accepted(BaseModel):
    """How many alerts are signals by now."""

    accepted: int


class Guard:
    """Who may change what: whoever brings a known secret, as far as its holder's roles go."""

    def __init__(self, holders: Sequence[Holder]) -> None:
        self._holders = holders

    def person(self, credentials: HTTPAuthorizationCredentials | None, deed: Deed) -> Person:
        """Return who is about to do something.

        Raises:
            ProblemError: no secret is known at all, or the roles of its holder do not allow it (403), or none of those
                that are known was brought (401).
        """
        if not self._holders:
            detail = "nothing can be changed: the service was started without SRE_API_TOKEN or SRE_API_TOKENS_FILE"
            raise ProblemError(HTTPStatus.FORBIDDEN, ProblemReason.NO_TOKEN_CONFIGURED, detail)
        person = who_brought(credentials.credentials if credentials else "", self._holders)
        if person is None:
            detail = "expected the header `Authorization: Bearer <secret>` with a configured secret"
            raise ProblemError(HTTPStatus.UNAUTHORIZED, ProblemReason.NOT_AUTHENTICATED, detail)
        if not person.may(deed):
            detail = f"{deed.value} takes the role {' or '.join(roles_for(deed))}; {_told_of(person)}"
            raise ProblemError(HTTPStatus.FORBIDDEN, ProblemReason.NOT_ENTITLED, detail)
        return person


def _told_of(person: Person) -> str:
    return f"{person.name} has {', '.join(person.roles)}"


class Streams:
    """How many live readers there are."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0

    def enter(self) -> None:
        """Count a reader in.

        Raises:
            ProblemError: there are too many (503).
        """
        if self._open >= self._limit:
            detail = f"{self._limit} live readers are connected, which is the limit; try again later"
            raise ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, ProblemReason.TOO_MANY_STREAMS, detail)
        self._open += 1

    def leave(self) -> None:
        """Count a reader out."""
        self._open -= 1


_BEARER = HTTPBearer(auto_error=False, description="A secret of SRE_API_TOKEN, or one that the tokens' file knows.")


def _who_may(deed: Deed) -> Callable[..., Person]:
    def person(request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, _CREDENTIALS]) -> Person:
        guard: Guard = request.app.state.guard
        return guard.person(credentials, deed)

    return person


_CREDENTIALS = Depends(_BEARER)
Operator = Annotated[Person, Depends(_who_may(Deed.PAUSE))]
Silencer = Annotated[Person, Depends(_who_may(Deed.SILENCE))]
Approver = Annotated[Person, Depends(_who_may(Deed.APPROVE))]
Asker = Annotated[Person, Depends(_who_may(Deed.ACT))]
Teller = Annotated[Person, Depends(_who_may(Deed.ALERT))]


def build_app(
    questions: Questions,
    interventions: Interventions,
    *,
    silences: Silences,
    alerts: Alerts,
    holders: Sequence[Holder],
    max_streams: int,
    is_stopping: Callable[[], bool],
) -> FastAPI:
    """Return the application; it holds nothing but these parts."""
    app = FastAPI(
        title="SRE-Agent",
        version="1",
        description="Incidents, decisions, reports and status; approvals, pauses and manual actions.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses={"default": {"model": Problem, "content": {MEDIA_TYPE: {}}, "description": "A refusal, by reason."}},
    )
    app.add_middleware(_BoundedBodies)
    app.add_middleware(_SafeHeaders)
    app.state.guard = Guard(holders)
    app.include_router(_overview(questions), tags=["reading"])
    app.include_router(_reading(questions), tags=["reading"])
    app.include_router(_changing(interventions), tags=["changing"])
    app.include_router(_silencing(silences))
    app.include_router(_receiving(alerts), tags=["changing"])
    app.include_router(_streaming(questions, Streams(max_streams), is_stopping), tags=["reading"])
    app.include_router(page_router())
    _answer_problems(app)
    return app


def _overview(questions: Questions) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/status")
    async def status() -> Status:
        """Show the services' health."""
        services = await questions.services()
        return Status(
            ready=all(one.ready for one in services),
            stops=await questions.model.stops(),
            playbook=await questions.playbook(),
            services=services,
        )

    @router.get("/playbook")
    async def playbook() -> PlaybookStatus:
        """Show the playbook in force, and what is wrong with its file as it is now."""
        found = await questions.playbook()
        if found is None:
            detail = "no playbook is in force yet"
            raise ProblemError(HTTPStatus.NOT_FOUND, ProblemReason.PLAYBOOK_UNKNOWN, detail)
        return found

    @router.get("/rules")
    async def rules(since: date | None = None) -> list[RuleStatus]:
        """List the rules with their scores: of the last month, or from a day (UTC) on."""
        return await questions.rules(since)

    return router


def _reading(questions: Questions) -> APIRouter:
    router = APIRouter(prefix="/v1")
    limit = Query(default=100, ge=1, le=_MAX_LISTED)

    @router.get("/incidents")
    async def incidents(only_open: bool = False, limit: int = limit) -> list[IncidentShown]:  # noqa: FBT001, FBT002
        """List incidents, the newest first."""
        return [shown(one) for one in await questions.model.incidents(only_open=only_open, limit=limit)]

    @router.get("/incidents/{incident}")
    async def incident(incident: str) -> IncidentShown:
        """Show an incident, with the version that an answer to it names."""
        return shown(await questions.incident(incident))

    @router.get("/incidents/{incident}/timeline")
    async def timeline(incident: str) -> list[TimelineEntry]:
        """Show an incident's story, from its first signal on."""
        return await questions.timeline(incident)

    @router.get("/reports/{incident}")
    async def report(incident: str) -> Report:
        """Show the root-cause analysis of an incident."""
        return await questions.report(incident)

    @router.get("/decisions")
    async def decisions(limit: int = limit) -> list[Decision]:
        """List the newest decisions, also those to do nothing."""
        return await questions.model.decisions(limit=limit)

    return router


def _changing(interventions: Interventions) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post("/incidents/{incident}/approve", status_code=HTTPStatus.ACCEPTED)
    async def approve(incident: str, answer: Answer, by: Approver) -> Approval:
        """Let the step that an incident waits with be carried out."""
        return await interventions.answer(incident, version=answer.version, approved=True, person=by, note=answer.note)

    @router.post("/incidents/{incident}/reject", status_code=HTTPStatus.ACCEPTED)
    async def reject(incident: str, answer: Answer, by: Approver) -> Approval:
        """Refuse the step that an incident waits with."""
        return await interventions.answer(incident, version=answer.version, approved=False, person=by, note=answer.note)

    @router.post("/pause", status_code=HTTPStatus.ACCEPTED)
    async def pause(words: PauseWords, by: Operator) -> Stop:
        """Stop all writes until they are resumed; of several people's pauses each holds until it is ended."""
        return await interventions.pause(by=by.name, cause=words.cause)

    @router.post("/resume", status_code=HTTPStatus.ACCEPTED)
    async def resume(by: Operator, words: ResumeWords | None = None) -> Resumed:
        """End one's own pause, or that of who is named; returns the stop that is over, and those that hold on."""
        return await interventions.resume(by=by.name, of=words.of if words else "")

    @router.post("/actions", status_code=HTTPStatus.ACCEPTED)
    async def act(words: ActionWords, by: Asker) -> ManualAction:
        """Ask for an action; it takes the same way, and the same limits, as the playbook's."""
        try:
            workload = WorkloadRef.parse(words.workload)
        except ValueError as wrong:
            reason = ProblemReason.WORKLOAD_INVALID
            raise ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, reason, str(wrong)) from wrong
        return await interventions.act(workload, words.action, dry_run=words.dry_run, by=by.name, note=words.note)

    return router


def _silencing(silences: Silences) -> APIRouter:
    router = APIRouter(prefix="/v1/silences")

    @router.get("", tags=["reading"])
    async def listed(only_active: bool = False) -> list[SilenceStatus]:  # noqa: FBT001, FBT002
        """List silences, those in force first, each with how many decisions it suppressed."""
        return await silences.all(only_active=only_active)

    @router.post("", status_code=HTTPStatus.ACCEPTED, tags=["changing"])
    async def begin(words: SilenceWords, by: Silencer) -> Silence:
        """Let no rule count or begin anything about what all matchers name, until the silence expires or is ended."""
        return await silences.begin(words.matchers, cause=words.cause, expires_at=words.expires_at, by=by.name)

    @router.delete("/{silence}", status_code=HTTPStatus.ACCEPTED, tags=["changing"])
    async def end(silence: str, by: Silencer) -> SilenceEnded:
        """End a silence before it expires."""
        return await silences.end(silence, by=by.name)

    return router


def _receiving(alerts: Alerts) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.post("/alerts", status_code=HTTPStatus.ACCEPTED)
    async def tell(notification: Notification, _: Teller) -> Accepted:
        """Take Alertmanager's webhook (version 4): each alert becomes a signal, one however often it is told."""
        return Accepted(accepted=await alerts.tell(notification))

    return router


def _streaming(questions: Questions, streams: Streams, is_stopping: Callable[[], bool]) -> APIRouter:
    router = APIRouter(prefix="/v1")

    @router.get("/stream", response_class=EventSourceResponse, responses={200: {"content": {"text/event-stream": {}}}})
    async def stream(
        last_event_id: Annotated[str | None, Header(pattern=r"^\d+(-\d+)?$")] = None,
    ) -> EventSourceResponse:
        """Follow incidents, decisions and reports as server-sent events; `Last-Event-ID` goes on where one was."""
        after = last_event_id or await questions.model.newest()
        streams.enter()
        # a reader that takes nothing is let go after the deadline, or it would hold its place for ever
        return _CountedStream(
            streams,
            _events(questions.model.follow(after), is_stopping),
            send_timeout=_SEND_WITHIN.total_seconds(),
        )

    return router


class _CountedStream(EventSourceResponse):
    """A stream that gives its place back however it ends, also before its first line."""

    def __init__(self, streams: Streams, content: AsyncIterator[dict[str, str]], *, send_timeout: float) -> None:
        super().__init__(content, send_timeout=send_timeout)  # pyright: ignore[reportUnknownMemberType] - typed in part
        self._streams = streams

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._streams.leave()


async def _events(
    lines: AsyncIterator[StreamEntry | None], is_stopping: Callable[[], bool]
) -> AsyncIterator[dict[str, str]]:
    try:
        async for line in lines:
            if is_stopping():
                return
            if line is not None:
                yield {"id": line.id, "event": line.type, "data": line.body}
    except UnavailableError:
        return  # the reader comes again, and says where it was


def _answer_problems(app: FastAPI) -> None:
    @app.exception_handler(ProblemError)
    async def refused(request: Request, refusal: ProblemError) -> Response:
        return _answer(refusal.document(request.url.path))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, wrong: RequestValidationError) -> Response:
        faults = [
            FieldFault(field=".".join(map(str, fault["loc"])), expected=str(fault["msg"]))
            for fault in wrong.errors()[:MAX_FAULTS]
        ]
        detail = "; ".join(f"{fault.field}: {fault.expected}" for fault in faults)
        status, reason = HTTPStatus.UNPROCESSABLE_ENTITY, ProblemReason.INVALID_REQUEST
        return _answer(problem(status, reason, detail=detail, instance=request.url.path, faults=faults))

    @app.exception_handler(StarletteHTTPException)
    async def http_error(request: Request, error: StarletteHTTPException) -> Response:
        reasons = {
            HTTPStatus.NOT_FOUND: ProblemReason.NOT_FOUND,
            HTTPStatus.METHOD_NOT_ALLOWED: ProblemReason.METHOD_NOT_ALLOWED,
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE: ProblemReason.REQUEST_TOO_LARGE,
        }
        status = HTTPStatus(error.status_code)
        reason = reasons.get(status, ProblemReason.INVALID_REQUEST)
        return _answer(problem(status, reason, detail=str(error.detail), instance=request.url.path))

    @app.exception_handler(UnavailableError)
    async def unavailable(request: Request, failed: UnavailableError) -> Response:
        status, reason = HTTPStatus.SERVICE_UNAVAILABLE, ProblemReason.DEPENDENCY_UNAVAILABLE
        return _answer(problem(status, reason, detail=str(failed), instance=request.url.path))

    _ = (refused, invalid, http_error, unavailable)


class _BoundedBodies:
    """Refuse bodies that are larger than anything that is asked for here, while they are read."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        read = 0

        async def received() -> MutableMapping[str, Any]:
            nonlocal read
            message = await receive()
            read += len(message.get("body") or b"")
            if read > _BODY_BYTES:
                detail = f"expected a body of at most {_BODY_BYTES} bytes"
                raise StarletteHTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)
            return message

        await self._app(scope, received, send)


class _SafeHeaders:
    """Add headers to every answer; as plain ASGI, so that streams pass untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Cache-Control"] = "no-store"
            await send(message)

        await self._app(scope, receive, sent)


def _answer(document: Problem) -> JSONResponse:
    return JSONResponse(document.model_dump(mode="json"), status_code=document.status, media_type=MEDIA_TYPE)
