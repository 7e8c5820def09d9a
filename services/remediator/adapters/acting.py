"""Carries actions out: asks an API server what their courses ask."""

from collections.abc import Awaitable, Callable, Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar, assert_never

from services.remediator.adapters.cluster import Cluster
from shared.contracts.actions.base import (
    Done,
    Order,
    OvertakenError,
    RefusedError,
    StoppedError,
    UnsettledError,
    Written,
)
from shared.contracts.commands import Command
from shared.contracts.model import JsonObject
from shared.contracts.paths import path_of
from shared.contracts.refusals import Refusal
from shared.contracts.requests import (
    Answer,
    Call,
    Create,
    Delete,
    Get,
    ListAll,
    Patch,
    Preview,
    Reading,
    Request,
    Writing,
)
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeError, WriteFailedError

_CONFLICT = 409
_REFUSALS = {
    404: Refusal.TARGET_GONE,
    403: Refusal.FORBIDDEN,
    429: Refusal.DISRUPTION_BUDGET,
}
_NOTHING_WRITTEN = {
    "This pod has more than one PodDisruptionBudget": Refusal.SEVERAL_BUDGETS,
    "failed calling webhook": Refusal.ADMISSION_AWAY,
}
"""What the API server says where it failed before it wrote anything: it judges evictions and asks webhooks first."""
_READINGS = 5
R = TypeVar("R")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Refused:
    """Why nothing was changed; `message` is the API server's, if it was that."""

    refusal: Refusal
    message: str = ""


class Caller(Protocol):
    """Calls webhooks for a command; raises `RefusedError` where nothing was done, `UnansweredError` where it may be."""

    async def __call__(self, call: Call, *, command: str, dry_run: bool) -> None:
        """Send a call; a dry run sends nothing."""
        ...


async def calls_nobody(call: Call, *, command: str, dry_run: bool) -> None:  # noqa: ARG001 - as a `Caller` is asked
    """Refuse every call, where no webhook is known."""
    raise RefusedError(Refusal.WEBHOOK_UNKNOWN, f"{call.webhook} is not among those of the settings: none")


class Actor:
    """Carry commands out on a cluster, which for what is live is behind the leader's fence, and by webhooks."""

    def __init__(
        self, client: Cluster, *, caller: Caller = calls_nobody, protected_namespaces: frozenset[str] = frozenset()
    ) -> None:
        self._client = client
        self._caller = caller
        self._protected_namespaces = protected_namespaces

    async def act(self, command: Command, *, token: int, dry_run: bool) -> Done | Refused:
        """Do what a command says, or ask the API server what it would do.

        Where the object was written between reading and changing, a controller's status mostly, all is read and judged
        again, a bounded number of times.

        Raises:
            UnavailableError: the API server does not answer; it may have happened, `has_happened` tells.
            UnsettledError: it failed at a write, and answers others; `has_happened` tells, and nobody need wait.
            UnansweredError: a webhook does not; it may have happened, and nothing tells.
            HalfDoneError: it was begun, and something keeps it from its end.
        """
        order = self._order(command, token=token, dry_run=dry_run)
        try:
            for _ in range(_READINGS - 1):
                with suppress(OvertakenError):
                    return await self._carried_out(command, order)
            return await self._carried_out(command, order)
        except RefusedError as refused:
            return Refused(refused.refusal, refused.message)

    async def has_happened(self, command: Command) -> bool:
        """Tell from the object itself whether a command was carried out.

        Raises:
            UnavailableError: the API server does not answer.
        """
        order = self._order(command, token=0, dry_run=command.dry_run)
        return await _conversed(command.action.happened(order), self._read)

    async def _carried_out(self, command: Command, order: Order) -> Done:
        written: list[Written] = []

        async def ask(request: Request) -> Answer:
            if isinstance(request, Get | ListAll):
                return await self._read(request)
            if isinstance(request, Call):
                await self._caller(request, command=order.command, dry_run=order.dry_run)
                return {}
            if isinstance(request, Preview):
                return await self._judged(request.writing, order, dry_run=True)
            answer = await self._judged(request, order, dry_run=order.dry_run)
            written.append(Written(request, answer))
            return answer

        done = await _conversed(command.action.course(order), ask)
        return replace(done, written=tuple(written))

    async def _read(self, request: Reading) -> Answer:
        match request:
            case Get():
                return await self._client.get(request.path)
            case ListAll():
                query = {"fieldSelector": request.fields} if request.fields else {}
                return (await self._client.list(request.path, **query)).items

    async def _judged(self, request: Writing, order: Order, *, dry_run: bool) -> JsonObject:
        """Write; where the API server fails at that, tell whether it is away, or failed at this alone.

        Raises:
            RefusedError: it failed before anything was written.
            UnavailableError: it answers nothing else either.
            UnsettledError: it answers other requests.
        """
        try:
            return await self._written(request, dry_run=dry_run)
        except WriteFailedError as failed:
            if not await self._answers(order.workload):
                raise
            raise _blamed(failed, dry_run=dry_run) from failed

    async def _answers(self, workload: WorkloadRef) -> bool:
        """Ask for the workload, whatever may be said of it: a single object is read from the server's store.

        Raises:
            UnavailableError: the API server does not answer.
        """
        path = path_of(workload)
        if path is None:
            return False
        with suppress(KubeError):
            await self._client.get(path)
        return True

    async def _written(self, request: Writing, *, dry_run: bool) -> JsonObject:
        match request:
            case Patch(path, body, kind):
                return await self._client.patch(path, body, kind=kind, dry_run=dry_run)
            case Create(path, body):
                return await self._client.create(path, body, dry_run=dry_run)
            case Delete():
                return await self._deleted(request, dry_run=dry_run)
            case _:
                assert_never(request)

    async def _deleted(self, request: Delete, *, dry_run: bool) -> JsonObject:
        return await self._client.delete(
            request.path,
            uid=request.uid,
            resource_version=request.resource_version,
            grace_seconds=request.grace_seconds,
            dry_run=dry_run,
        )

    def _order(self, command: Command, *, token: int, dry_run: bool) -> Order:
        return Order(
            command=command.id,
            at=command.at,
            workload=command.workload,
            protected_labels=command.protected_labels,
            protected_namespaces=self._protected_namespaces | {*command.protected_namespaces},
            token=token,
            dry_run=dry_run,
            reverts=command.reverts,
            is_approved=command.is_approved,
            incident=command.incident,
            rule=command.rule,
        )


async def _conversed(conversation: Generator[R, Answer, T], ask: Callable[[R], Awaitable[Answer]]) -> T:
    """Return what a conversation ends with; what refuses a request, or holds it, is raised in it."""
    try:
        request = next(conversation)
        while True:
            try:
                answer = await ask(request)
            except KubeError as refused:
                request = conversation.throw(_translated(refused))
            except (RefusedError, UnsettledError, StoppedError) as judged:
                request = conversation.throw(judged)
            else:
                request = conversation.send(answer)
    except StopIteration as ended:
        return ended.value


def _blamed(failed: WriteFailedError, *, dry_run: bool) -> RefusedError | UnsettledError:
    """Return what the API server's failure at a write means for its command."""
    refusal = next((one for said, one in _NOTHING_WRITTEN.items() if said in failed.message), None)
    if refusal is None and not dry_run:
        return UnsettledError(failed.message)
    return RefusedError(refusal or Refusal.SERVER_ERROR, failed.message)


def _translated(refused: KubeError) -> RefusedError:
    if refused.status == _CONFLICT:
        return OvertakenError(refused.message)
    return RefusedError(_REFUSALS.get(refused.status, Refusal.REJECTED), refused.message)
