"""The driver of courses: what is asked, what the API server refuses by its reason, conflicts read anew."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.actions import DeletePod, Drain, RestartPod
from shared.contracts.actions.base import Done, HalfDoneError, UnsettledError
from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import KubeError, Listing, WriteFailedError
from shared.kernel.errors import UnavailableError
from tests.unit.services.remediator.build import command
from tests.unit.shared.contracts.actions.nodes import NODE, pod_on, three

RESTART = command(action=RestartPod(pod="web-1", uid="p"))
PODS, SETS = "/api/v1/namespaces/bank/pods", "/apis/apps/v1/namespaces/bank/replicasets"


def owned(kind: str, name: str, **metadata: Any) -> Any:
    return {"metadata": {"ownerReferences": [{"kind": kind, "name": name, "controller": True}], **metadata}}


@dataclass
class Told:
    """An API server of one pod, that refuses a method with a status so many times, and notes what it was asked.

    Where it fails at a method it says `failing`, and answers nothing from then on where it `is_away`.
    """

    refuses: str = ""
    status: int = 0
    times: int = 1_000
    fails: str = ""
    failing: str = ""
    fails_previews: bool = True
    is_away: bool = False
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

    async def list(self, path: str, **query: str) -> Any:
        self.asked.append(f"list {path} {query}")
        return Listing([one for at, one in self.objects.items() if at.startswith(path)], "1")

    async def delete(
        self,
        path: str,
        *,
        uid: str,
        resource_version: str = "",
        grace_seconds: int | None = None,
        dry_run: bool = False,
    ) -> Any:
        self._note(f"delete within {grace_seconds}", dry_run)
        return {}

    async def logs(self, path: str, **query: str) -> str:
        raise NotImplementedError

    def _note(self, method: str, *dry_run: bool) -> None:
        if self.is_away and self.fails in self.asked:
            raise UnavailableError("no answer")
        self.asked.append(method)
        self.dry_runs += dry_run
        if method == self.fails and (self.fails_previews or not any(dry_run)):
            raise WriteFailedError(f"500: {self.failing}", self.failing)
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


def draining(**protected: Any) -> tuple[Told, Command]:
    """Return a node with one pod, and the command that drains it."""
    ordered = command(action=Drain(at_most=1)).model_copy(update={"workload": NODE, **protected})
    return Told(objects={**three(), "/api/v1/pods": {}, **pod_on("a")}), ordered


async def test_what_a_course_previews_is_asked_as_a_dry_run_though_its_command_is_live() -> None:
    server, ordered = draining()
    server.objects["/api/v1/pods"] = next(one for at, one in server.objects.items() if at.endswith("pods/a"))
    assert isinstance(await act(server, ordered), Done)
    assert server.dry_runs == [True, False, False, False]
    assert "list /api/v1/pods {'fieldSelector': 'spec.nodeName=n1'}" in server.asked


@pytest.mark.parametrize("protected", [("bank",), ()])
async def test_what_a_command_or_the_remediator_protects_is_left_alone_in_every_namespace(
    protected: tuple[str, ...],
) -> None:
    server, ordered = draining(protected_namespaces=protected)
    server.objects["/api/v1/pods"] = next(one for at, one in server.objects.items() if at.endswith("pods/a"))
    actor = Actor(server, protected_namespaces=frozenset({"bank"} if not protected else {"kube-system"}))
    refused = await actor.act(ordered, token=7, dry_run=False)
    assert isinstance(refused, Refused)
    assert (refused.refusal, server.dry_runs) == (Refusal.PROTECTED_NAMESPACE, [])


async def test_a_deletion_is_asked_with_the_grace_that_the_course_says() -> None:
    server = Told()
    pod = server.objects[f"{PODS}/web-1"]
    pod["status"], pod["metadata"]["deletionTimestamp"] = {"phase": "Running"}, "2020-01-01T00:00:00Z"
    assert isinstance(await act(server, command(action=DeletePod(pod="web-1", uid="p", force=True))), Done)
    assert server.asked[-1] == "delete within 0"


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


def restarting_a_database(**fields: Any) -> tuple[Told, Command]:
    """Return a StatefulSet that keeps its data in an emptyDir, and the command that restarts its pod."""
    workload = WorkloadRef(kind="StatefulSet", namespace="bank", name="db")
    volume: Any = {"name": "books", "emptyDir": {}}
    template = {"template": {"spec": {"volumes": [volume]}}}
    owner = {"kind": "StatefulSet", "metadata": {"name": "db"}, "spec": template}
    pod = owned("StatefulSet", "db", uid="p", resourceVersion="9")
    objects = {f"{PODS}/web-1": pod, "/apis/apps/v1/namespaces/bank/statefulsets/db": owner}
    return Told(objects=objects), command(action=RESTART.action, workload=workload, **fields)


@pytest.mark.parametrize("fields", [{"approved_by": "ann"}, {"rule": "manual"}, {"reverts": "cmd-0"}])
async def test_what_a_person_approves_or_asks_for_is_ordered_as_approved(fields: dict[str, str]) -> None:
    server, ordered = restarting_a_database(**fields)
    assert isinstance(await act(server, ordered), Done)


async def test_what_a_rule_orders_alone_is_not_ordered_as_approved() -> None:
    server, ordered = restarting_a_database(requested_by="ann")
    refused = await act(server, ordered)
    assert isinstance(refused, Refused)
    assert (refused.refusal, server.dry_runs) == (Refusal.DATA_ON_EMPTYDIR, [])


async def test_whether_it_happened_is_told_by_reading_alone() -> None:
    server = Told()
    assert not await Actor(server).has_happened(RESTART)
    server.refuses, server.status = "get", 404
    assert await Actor(server).has_happened(RESTART)
    assert set(server.asked) == {"get"}


SEVERAL = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
WEBHOOK = 'Internal error occurred: failed calling webhook "deny.example.com": connect: connection refused'
STORE = "etcdserver: request timed out"
DRY = command(action=RestartPod(pod="web-1", uid="p"), dry_run=True)


@pytest.mark.parametrize(
    ("method", "said", "refusal"),
    [
        ("create", SEVERAL, Refusal.SEVERAL_BUDGETS),
        ("create", WEBHOOK, Refusal.ADMISSION_AWAY),
        ("patch", WEBHOOK, Refusal.ADMISSION_AWAY),
    ],
)
async def test_what_the_server_fails_at_before_it_writes_is_a_refusal_by_its_name(
    method: str, said: str, refusal: Refusal
) -> None:
    server = Told(fails=method, failing=said)
    assert await act(server) == Refused(refusal, said)
    assert server.asked.count(method) == 1


async def test_what_may_have_been_written_is_not_told_as_refused() -> None:
    with pytest.raises(UnsettledError, match=STORE):
        await act(Told(fails="create", failing=STORE))


async def test_a_dry_run_that_the_server_fails_at_has_written_nothing() -> None:
    assert await act(Told(fails="create", failing=STORE), DRY) == Refused(Refusal.SERVER_ERROR, STORE)


@pytest.mark.parametrize("said", [SEVERAL, WEBHOOK, STORE])
@pytest.mark.parametrize("ordered", [RESTART, DRY])
async def test_a_server_that_answers_nothing_else_either_is_away(said: str, ordered: Command) -> None:
    with pytest.raises(UnavailableError):
        await act(Told(fails="create", failing=said, is_away=True), ordered)


async def test_a_drain_that_the_server_would_fail_at_touches_nothing_and_names_the_pod() -> None:
    server, ordered = draining()
    server.objects["/api/v1/pods"] = server.objects[f"{PODS}/a"]
    server.fails, server.failing = "create", SEVERAL
    assert await act(server, ordered) == Refused(Refusal.SEVERAL_BUDGETS, f"pod bank/a: {SEVERAL}")
    assert server.dry_runs == [True]


async def test_a_drain_that_the_server_fails_at_half_way_says_how_far_it_came() -> None:
    server, ordered = draining()
    server.objects["/api/v1/pods"] = server.objects[f"{PODS}/a"]
    server.fails, server.failing, server.fails_previews = "create", STORE, False
    with pytest.raises(HalfDoneError) as half:
        await act(server, ordered)
    assert (half.value.refusal, half.value.message) == (Refusal.SERVER_ERROR, f"pod bank/a: {STORE}")
    assert half.value.changes == ("node n1: cordoned",)
