"""An API server in a table, for the conversations of actions: it answers, refuses as told, and keeps notes."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from sandbox.cluster.patching import Patch as PatchOfApi
from sandbox.cluster.patching import PatchKind, patched
from shared.contracts.actions.base import ActionBase, Done, Order, RefusedError, StoppedError, UnsettledError
from shared.contracts.model import JsonObject
from shared.contracts.objects import section
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Call, Create, Delete, Get, ListAll, Patch, Preview, Request, Writing
from shared.contracts.workloads import WorkloadRef

T = TypeVar("T")
AT = datetime(2030, 1, 1, 12, tzinfo=UTC)
"""When every order was given."""
WEB = WorkloadRef(kind="Deployment", namespace="bank", name="web")
Held = RefusedError | StoppedError | UnsettledError
Refuses = Callable[[Request], Held | None]


@dataclass
class Server:
    """Objects by their paths; a path that they lie below lists them. `refuses` tells why a request is not answered."""

    objects: Mapping[str, Any]
    refuses: Refuses = lambda _: None
    asked: list[Request] = field(default_factory=list[Request])

    def converse(self, conversation: Generator[Any, Answer, T]) -> T:
        """Return what a conversation ends with.

        Raises:
            RefusedError: it ends with that.
        """
        try:
            request = next(conversation)
            while True:
                request = self._moved_on(conversation, request)
        except StopIteration as ended:
            return ended.value

    @property
    def written(self) -> list[Writing]:
        """Return the requests that change something."""
        return [one for one in self.asked if not isinstance(one, Get | ListAll | Preview | Call)]

    @property
    def paths(self) -> list[str]:
        """Return the paths of all requests."""
        asked = (one.writing if isinstance(one, Preview) else one for one in self.asked)
        return [one.path for one in asked if not isinstance(one, Call)]

    def _moved_on(self, conversation: Generator[Any, Answer, T], request: Request) -> Any:
        self.asked.append(request)
        try:
            answer = self._answer(request)
        except (RefusedError, StoppedError, UnsettledError) as held:
            return conversation.throw(held)
        return conversation.send(answer)

    def _answer(self, request: Request) -> Answer:
        refused = self.refuses(request)
        if refused is not None:
            raise refused
        match request:
            case ListAll(path, fields):
                return [one for at, one in self.objects.items() if _lists(path, at) and _is_selected(one, fields)]
            case Preview() | Call():
                return {}
            case Create():
                return self._created(request)
            case Get() | Patch() | Delete():
                return self._answer_of(request)

    def _answer_of(self, request: Get | Patch | Delete) -> JsonObject:
        path = request.path
        if path not in self.objects:
            raise RefusedError(Refusal.TARGET_GONE, "not found")
        if isinstance(request, Patch):
            after = patched(self.objects[path], PatchOfApi(PatchKind(request.kind.value), request.body))
            self.objects = {**self.objects, path: after}
        return self.objects[path]

    def _created(self, asked: Create) -> JsonObject:
        if not asked.path.endswith("/eviction"):
            name = section(asked.body, "metadata").get("name")
            self.objects = {**self.objects, f"{asked.path}/{name}": asked.body}
        return asked.body


def order(
    name: str = "cmd-1",
    *,
    workload: WorkloadRef = WEB,
    dry_run: bool = False,
    reverts: str = "",
    is_approved: bool = False,
    **protected: str,
) -> Order:
    """Return the order of a command under token 3; `protected` are labels, each with one value."""
    labels = {key: (value,) for key, value in protected.items()}
    return Order(
        command=name,
        at=AT,
        workload=workload,
        protected_labels=labels,
        protected_namespaces=frozenset({"kube-system"}),
        token=3,
        dry_run=dry_run,
        reverts=reverts,
        is_approved=is_approved,
    )


def outcome(server: Server, action: ActionBase, asked: Order | None = None) -> Done | Refusal:
    """Return what becomes of an action, by its reason where it is refused."""
    try:
        return server.converse(action.course(asked or order()))
    except RefusedError as refused:
        return refused.refusal


def refused(server: Server, action: ActionBase, asked: Order | None = None) -> tuple[Refusal, str]:
    """Return why an action is refused, and what is said of it."""
    with pytest.raises(RefusedError) as told:
        server.converse(action.course(asked or order()))
    return told.value.refusal, told.value.message


def has_happened(server: Server, action: ActionBase, asked: Order | None = None) -> bool:
    """Tell whether an action was carried out, as it tells itself; only reading."""
    before = server.written
    told = server.converse(action.happened(asked or order()))
    assert server.written == before
    return told


def _lists(path: str, at: str) -> bool:
    """Tell whether an object lies in a collection; one of all namespaces holds those of each."""
    collection = at.rpartition("/")[0]
    kind = path.rpartition("/")[2]
    return collection == path or (
        path == f"/api/v1/{kind}" and "/namespaces/" in collection and collection.endswith(f"/{kind}")
    )


def _is_selected(source: JsonObject, fields: str) -> bool:
    name, _, value = fields.partition("=")
    *outer, last = name.split(".")
    return not fields or section(source, *outer).get(last) == value


def labelled(source: JsonObject, **labels: str) -> JsonObject:
    """Return an object with further labels, `_` standing for `-`."""
    metadata: Any = source["metadata"]
    named = {key.replace("_", "-"): value for key, value in labels.items()}
    return {**source, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **named}}}
