"""An API server in a table, for the conversations of actions: it answers, refuses as told, and keeps notes."""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sandbox.cluster.patching import Patch as PatchOfApi
from sandbox.cluster.patching import PatchKind, patched
from shared.contracts.actions.base import ActionBase, Done, Order, RefusedError
from shared.contracts.model import JsonObject
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Answer, Create, Delete, Get, ListAll, Patch, Request, Writing
from shared.contracts.workloads import WorkloadRef

T = TypeVar("T")
WEB = WorkloadRef(kind="Deployment", namespace="bank", name="web")
Refuses = Callable[[Request], RefusedError | None]


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
        return [one for one in self.asked if not isinstance(one, Get | ListAll)]

    @property
    def paths(self) -> list[str]:
        """Return the paths of all requests."""
        return [one.path for one in self.asked]

    def _moved_on(self, conversation: Generator[Any, Answer, T], request: Request) -> Any:
        self.asked.append(request)
        try:
            answer = self._answer(request)
        except RefusedError as refused:
            return conversation.throw(refused)
        return conversation.send(answer)

    def _answer(self, request: Request) -> Answer:
        refused = self.refuses(request)
        if refused is not None:
            raise refused
        match request:
            case ListAll(path):
                return [one for at, one in self.objects.items() if at.rpartition("/")[0] == path]
            case Create(_, body):
                return body
            case Get(path) | Patch(path) | Delete(path) if path not in self.objects:
                raise RefusedError(Refusal.TARGET_GONE, "not found")
            case Patch(path, body, kind):
                after = patched(self.objects[path], PatchOfApi(PatchKind(kind.value), body))
                self.objects = {**self.objects, path: after}
                return after
            case Get(path) | Delete(path):
                return self.objects[path]


def order(name: str = "cmd-1", *, workload: WorkloadRef = WEB, dry_run: bool = False, **protected: str) -> Order:
    """Return the order of a command under token 3; `protected` are labels, each with one value."""
    labels = {key: (value,) for key, value in protected.items()}
    return Order(command=name, workload=workload, protected_labels=labels, token=3, dry_run=dry_run)


def outcome(server: Server, action: ActionBase, asked: Order | None = None) -> Done | Refusal:
    """Return what becomes of an action, by its reason where it is refused."""
    try:
        return server.converse(action.course(asked or order()))
    except RefusedError as refused:
        return refused.refusal


def has_happened(server: Server, action: ActionBase, asked: Order | None = None) -> bool:
    """Tell whether an action was carried out, as it tells itself; only reading."""
    told = server.converse(action.happened(asked or order()))
    assert server.written == []
    return told


def labelled(source: JsonObject, **labels: str) -> JsonObject:
    """Return an object with further labels, `_` standing for `-`."""
    metadata: Any = source["metadata"]
    named = {key.replace("_", "-"): value for key, value in labels.items()}
    return {**source, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **named}}}
