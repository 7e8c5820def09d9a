"""The driver of courses: what is asked, what the API server refuses by its reason, conflicts read anew."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import RestartPod
from shared.contracts.actions.base import Done
from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal
from shared.infra.kube import KubeError
from tests.unit.services.remediator.build import command

RESTART = command(action=RestartPod(pod="web-1", uid="p"))
PODS, SETS = "/api/v1/namespaces/bank/pods", "/apis/apps/v1/namespaces/bank/replicasets"


def owned(kind: str, name: str, **metadata: Any) -> Any:
    return {"metadata": {"ownerReferences": [{"kind": kind, "name": name, "controller": True}], **metadata}}


@dataclass
class Told:
    """An API server of one pod, that refuses a method with a status so many times, and notes what it was asked."""

    refuses: str = ""
    status: int = 0
    times: int = 1_000
    asked: list[str] = field(default_factory=list[str])
    dry_runs: list[bool] = field(default_factory=list[bool])
    objects: dict[str, Any] = field(
        default_factory=lambda: {
            f"{PODS}/web-1": owned("ReplicaSet", "web-v2", uid="p", resourceVersion="9"),
            f"{SETS}/web-v2": owned("Deployment", "web"),
            "/apis/apps/v1/namespaces/bank/deployments/web": {"metadata": {}},
        }
    )

    async def get(self, path: str) -> Any:
        self._note("get")
        return self.objects[path]

    async def patch(self, path: str, body: Any, *, kind: Any, dry_run: bool = False) -> Any:
        self._note("patch", dry_run)
        return {}

    async def create(self, path: str, body: Any, *, dry_run: bool = False) -> Any:
        self._note("create", dry_run)
        return {}

    async def list(self, path: str) -> Any:
        raise NotImplementedError

    async def delete(self, path: str, *, uid: str, resource_version: str = "", dry_run: bool = False) -> Any:
        raise NotImplementedError

    async def logs(self, path: str, **query: str) -> str:
        raise NotImplementedError

    def _note(self, method: str, *dry_run: bool) -> None:
        self.asked.append(method)
        self.dry_runs += dry_run
        if method == self.refuses and self.times > 0:
            self.times -= 1
            raise KubeError(self.status, "Reason", "the server's words")


async def act(server: Told, ordered: Command = RESTART) -> Done | Refused:
    return await Actor(server).act(ordered, token=7, dry_run=ordered.dry_run)


async def test_what_a_course_asks_is_asked_in_its_order() -> None:
    server = Told()
    assert isinstance(await act(server), Done)
    assert (server.asked, server.dry_runs) == (["get", "get", "get", "patch", "create"], [False, False])


async def test_every_write_of_a_dry_run_is_asked_as_one() -> None:
    server = Told()
    assert isinstance(await act(server, command(action=RESTART.action, dry_run=True)), Done)
    assert (server.asked, server.dry_runs) == (["get", "get", "get", "create"], [True])


@pytest.mark.parametrize(
    ("method", "status", "refusal"),
    [
        ("get", 404, Refusal.TARGET_GONE),
        ("patch", 403, Refusal.FORBIDDEN),
        ("create", 403, Refusal.FORBIDDEN),
        ("create", 429, Refusal.DISRUPTION_BUDGET),
        ("create", 422, Refusal.REJECTED),
        ("get", 400, Refusal.REJECTED),
    ],
)
async def test_what_the_server_refuses_is_told_by_its_reason_in_its_words(
    method: str, status: int, refusal: Refusal
) -> None:
    server = Told(method, status)
    assert await act(server) == Refused(refusal, "the server's words")
    assert server.asked.count(method) == 1


@pytest.mark.parametrize("times", range(1, 5))
async def test_an_object_that_was_written_meanwhile_is_read_and_judged_again(times: int) -> None:
    server = Told("patch", 409, times)
    assert isinstance(await act(server), Done)
    assert server.asked.count("patch") == times + 1
    assert server.asked.count("get") == 3 * (times + 1)


async def test_after_five_readings_it_is_left_alone() -> None:
    server = Told("patch", 409)
    assert await act(server) == Refused(Refusal.CHANGED_MEANWHILE, "the server's words")
    assert server.asked.count("patch") == 5


async def test_whether_it_happened_is_told_by_reading_alone() -> None:
    server = Told()
    assert not await Actor(server).has_happened(RESTART)
    server.refuses, server.status = "get", 404
    assert await Actor(server).has_happened(RESTART)
    assert set(server.asked) == {"get"}
