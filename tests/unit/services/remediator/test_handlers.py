"""Commands carried out by a process that dies at any of its requests: one effect, one entry in the audit trail."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from sandbox.cluster.clock import manual_clock
from sandbox.cluster.documents import Document, name_of, uid_of
from sandbox.cluster.patching import Patch, PatchKind
from sandbox.cluster.resources import BUDGETS, DEPLOYMENTS, EVENTS, NAMESPACES, PODS
from sandbox.cluster.simulation import Simulation
from sandbox.cluster.writes import Target
from services.remediator.adapters import stopping
from services.remediator.adapters.acting import Actor, Caller, calls_nobody
from services.remediator.adapters.auditing import AuditTrail
from services.remediator.adapters.capturing import Capture
from services.remediator.adapters.eventing import Events
from services.remediator.adapters.fencing import FencedCluster
from services.remediator.adapters.ledger import Ledger
from services.remediator.adapters.predicting import Predictor
from services.remediator.adapters.register import Register
from services.remediator.adapters.stopping import StoppableCluster, Stops
from services.remediator.adapters.surveying import Survey
from services.remediator.adapters.verifying import against_results
from services.remediator.braking import Brake
from services.remediator.core.brake import Spent
from services.remediator.core.trail import Trail
from services.remediator.handlers import Remediation
from services.remediator.records import Records
from services.remediator.settings import RemediatorSettings
from services.remediator.tenure import Tenure
from services.remediator.trail_words import twice_told
from shared.contracts.actions import Action, CallWebhook, DeletePod, Drain, RestartPod, SetMemory
from shared.contracts.actions.base import HalfDoneError, RefusedError, UnansweredError
from shared.contracts.codec import Envelope, Record
from shared.contracts.commands import Command
from shared.contracts.inbox import Outcome, Result
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Call
from shared.contracts.topics import INBOX, SPENDINGS
from shared.contracts.workloads import WorkloadRef
from shared.infra.kube import WriteFailedError
from shared.infra.memory import MemoryBroker
from shared.infra.redis import Lease, Redis
from shared.kernel.errors import UnavailableError
from tests.fakes.clock import FakeClock
from tests.keys import RECORDS_SEAL, UNUSED
from tests.simulation.cluster import Effect, SimulatedCluster
from tests.simulation.store import SimulatedStore
from tests.simulation.weather import Weather
from tests.unit.services.remediator.build import NOW, OWN, command

MEBIBYTE = 1 << 20
RAISE = SetMemory(container="server", from_bytes=128 * MEBIBYTE, to_bytes=256 * MEBIBYTE)
ORDERS: Mapping[str, Command] = {
    "applied": command(action=RAISE),
    "dry-run": command(action=RAISE, dry_run=True),
    "refused": command(action=SetMemory(container="other", from_bytes=1, to_bytes=2)),
    "expired": command(action=RAISE, expires_at=NOW),
}
LONG = timedelta(hours=1)


class Killed(BaseException):
    """The process is gone; nothing of ours may catch it."""


@dataclass
class Fuse:
    """Ends a process at its n-th request: before it is sent, or when it has arrived and nobody hears the answer."""

    requests: int
    is_after: bool
    burnt: int = 0

    async def around(self, call: Any, *arguments: Any, **options: Any) -> Any:
        self.burnt += 1
        if self.burnt == self.requests and not self.is_after:
            raise Killed
        number = self.burnt
        try:
            return await call(*arguments, **options)
        finally:
            if number == self.requests:
                raise Killed


class Mortal:
    """Anything that is asked asynchronously, with a fuse before and after each request."""

    def __init__(self, behind: Any, fuse: Fuse) -> None:
        self._behind, self._fuse = behind, fuse

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._behind, name)
        if name == "read":  # yields; its beginning is a request of its own, which end_offsets stands for
            return asked
        return partial(self._fuse.around, asked)


@dataclass
class Ailing:
    """A cluster whose API server fails at one kind of write, before it has written anything or after it."""

    method: str
    said: str
    is_after: bool = False
    behind: Any = None

    def of(self, cluster: Any) -> Any:
        self.behind = cluster
        return self

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self.behind, name)
        return partial(self._fail, asked) if name == self.method else asked

    async def _fail(self, asked: Any, *arguments: Any, **options: Any) -> Any:
        if self.is_after:
            await asked(*arguments, **options)
        raise WriteFailedError(f"500 InternalError: {self.said}", self.said)


@dataclass
class SlowStore:
    """Gives the lease to another before it settles."""

    behind: SimulatedStore

    async def execute_command(self, command: str, *arguments: str | int) -> Any:
        if any("ARGV[3]}" in str(one) for one in arguments):
            self.behind.forget("sre:lease:remediator")
        return await self.behind.execute_command(command, *arguments)


@dataclass
class Stage:
    """What outlives a process: broker, store, cluster."""

    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(FakeClock(NOW)))
    store: SimulatedStore = field(default_factory=SimulatedStore)
    cluster: Simulation = field(default_factory=lambda: Simulation(manual_clock()))
    effects: list[Effect] = field(default_factory=list[Effect])
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    caller: Caller = calls_nobody
    ailing: "Ailing | Watched | None" = None

    def __post_init__(self) -> None:
        container: Document = {"name": "server", "image": "web:v1", "resources": {"limits": {"memory": "128Mi"}}}
        template: Document = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
        spec: Document = {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}
        self.cluster.api.create(Target(NAMESPACES), {"metadata": {"name": "bank"}})
        self.cluster.api.create(Target(DEPLOYMENTS, "bank"), {"metadata": {"name": "web"}, "spec": spec})

    async def live(self, asked: Command, fuse: Fuse, *, store: Any = None) -> None:
        """Be a leader that is given one command, on the store, or on another way to it."""
        self.store.forget("sre:lease:remediator")
        lease = Lease(Redis(self.store), "remediator", ttl=LONG)
        term = await lease.acquire("one", floor=0)
        assert term is not None
        simulated = SimulatedCluster(self.cluster, weather=Weather(), on_effect=self.effects.append)
        cluster: Any = Mortal(self.ailing.of(simulated) if self.ailing else simulated, fuse)
        publisher: Any = Mortal(self.broker.publisher("remediator", seal=RECORDS_SEAL), fuse)
        archive: Any = Mortal(self.broker.archive(), fuse)
        redis = Redis(Mortal(store or self.store, fuse))
        tenure = Tenure(term, until=float("inf"))
        fenced = FencedCluster(cluster, tenure=tenure, register=Register(cluster))
        stops = Stops(cluster, archive, publisher, clock=FakeClock(NOW))
        events = Events(lambda _: cluster, instance="one", protected_namespaces=frozenset())
        settings = RemediatorSettings(checking_keys_file=UNUSED, records_key_file=UNUSED, **self.settings)
        remediation = Remediation(
            publisher,
            lambda workload: Actor(StoppableCluster(fenced, stops, workload), caller=self.caller),
            Capture(cluster),
            brake=Brake(
                Ledger(publisher, archive, trust=OWN, token=term.token, clock=FakeClock(NOW)),
                Survey(cluster),
                settings.limits,
            ),
            stops=stops,
            predictor=Predictor(cluster),
            records=Records(AuditTrail(publisher, archive, trust=OWN, token=term.token), events),
            lease=Lease(redis, "remediator", ttl=LONG),
            tenure=tenure,
            clock=FakeClock(NOW),
            settings=settings,
        )
        try:
            await remediation.handle(Envelope(asked, Record("sre.commands", 0, 0, 0, None, None), {}))
        except BaseExceptionGroup as group:  # of what was asked at the same time one request was its last
            if group.split(Killed)[1] is None:
                raise Killed from group
            raise

    @property
    def events(self) -> list[Document]:
        """Return the Events that tell of commands."""
        found = self.cluster.store.select(EVENTS)
        return [one for one in found if one.get("reportingComponent") == "sre-agent"]

    @property
    def results(self) -> set[bytes | None]:
        """Return the bodies of what was told, each once."""
        return {one.value for number in range(INBOX.partitions) for one in self.broker.log(INBOX.name, number)}

    async def taken(self) -> list[Spent]:
        """Return what counts for the brake by now."""
        publisher = self.broker.publisher("remediator", seal=RECORDS_SEAL)
        ledger = Ledger(publisher, self.broker.archive(), trust=OWN, token=9, clock=FakeClock(NOW))
        return (await ledger.spendings()).others("")

    def result_of(self, name: str) -> Result:
        """Return what was told of a command."""
        told = [Result.model_validate_json(one) for one in self.results if one is not None]
        return next(one for one in told if one.command == name)

    async def trail(self) -> Trail:
        """Return the trail, which must be whole and agree with the results."""
        trail, differing = await against_results(self.broker.archive())
        assert (trail.breaks, list(differing), trail.late, list(twice_told(trail))) == ([], [], [], [])
        return trail


async def requests_of(asked: Command) -> int:
    fuse = Fuse(0, is_after=False)
    await Stage().live(asked, fuse)
    return fuse.burnt


@pytest.mark.parametrize("asked", ORDERS.values(), ids=ORDERS)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
async def test_killed_at_any_request_a_command_has_one_entry_and_at_most_one_effect(
    asked: Command, is_after: bool
) -> None:
    count = await requests_of(asked)
    assert count > 5
    for number in range(1, count + 1):
        stage = Stage()
        with pytest.raises(Killed):
            await stage.live(asked, Fuse(number, is_after=is_after))
        await stage.live(asked, Fuse(0, is_after=False))
        await stage.live(asked, Fuse(0, is_after=False))  # delivered once more, to a third leader
        trail = await stage.trail()
        assert [link.command for link in trail.chain] == [asked.id], number
        assert len(stage.effects) <= 1, number
        assert len(stage.results) == 1, number
        assert len(await stage.taken()) >= len(stage.effects), number
        assert len(stage.events) == (0 if asked.dry_run else 1), number


@pytest.mark.parametrize(("name", "asked"), ORDERS.items(), ids=ORDERS)
async def test_an_entry_tells_who_asked_for_what_and_what_became_of_it(name: str, asked: Command) -> None:
    stage = Stage()
    await stage.live(asked, Fuse(0, is_after=False))
    (link,) = (await stage.trail()).chain
    expected = {"applied": Outcome.APPLIED, "dry-run": Outcome.DRY_RUN}.get(name, Outcome.REFUSED)
    assert (link.command, link.outcome, link.token) == (asked.id, expected, 1)


async def test_a_result_that_was_told_is_told_again_as_it_was_whatever_has_become_of_the_object() -> None:
    stage, asked = Stage(), ORDERS["applied"]
    await stage.live(asked, Fuse(0, is_after=False))
    unmarked: Any = {"metadata": {"annotations": None}, "spec": {"template": {"spec": {"containers": []}}}}
    stage.cluster.api.patch(Target(DEPLOYMENTS, "bank", "web"), Patch(PatchKind.STRATEGIC, unmarked))
    await stage.live(asked, Fuse(0, is_after=False))
    assert len(stage.results) == 1


async def test_who_lost_the_lease_while_it_acted_tells_nothing_and_the_next_finds_it_done() -> None:
    stage, asked = Stage(), ORDERS["applied"]
    slow = SlowStore(stage.store)
    with pytest.raises(UnavailableError):
        await stage.live(asked, Fuse(0, is_after=False), store=slow)
    assert (len(stage.effects), stage.results) == (1, set())
    await stage.live(asked, Fuse(0, is_after=False))
    (told,) = stage.results
    assert b'"found-applied"' in (told or b"")
    assert len(stage.effects) == 1


UNDO = RAISE.model_copy(update={"from_bytes": RAISE.to_bytes, "to_bytes": RAISE.from_bytes})
AGAIN = SetMemory(container="server", from_bytes=256 * MEBIBYTE, to_bytes=512 * MEBIBYTE)
ALIVE = Fuse(0, is_after=False)


async def braked() -> Stage:
    """Return a stage on which one healing was done, and no more may be for an hour."""
    stage = Stage(settings={"brake_workload_per_hour": 1})
    await stage.live(command("first", action=RAISE), ALIVE)
    assert [one.command for one in await stage.taken()] == ["first"]
    return stage


async def test_a_command_over_its_budget_changes_nothing_and_says_when_to_come_again() -> None:
    stage = await braked()
    await stage.live(command("second", action=AGAIN), ALIVE)
    told = stage.result_of("second")
    assert (told.outcome, told.reason, told.message) == (Outcome.REFUSED, "budget-workload", "1 of 1 in the last hour")
    assert told.retry_after == timedelta(hours=1)
    assert (len(stage.effects), len(await stage.taken())) == (1, 1)


async def test_what_undoes_a_harm_is_done_and_costs_nothing() -> None:
    stage = await braked()
    await stage.live(command("undo", action=UNDO, reverts="first"), ALIVE)
    assert (len(stage.effects), [one.command for one in await stage.taken()]) == (2, ["first"])


async def test_a_dry_run_is_told_what_the_brake_would_have_said_and_costs_nothing() -> None:
    stage = await braked()
    await stage.live(command("preview", action=AGAIN, dry_run=True), ALIVE)
    told = stage.result_of("preview")
    assert (told.outcome, told.retry_after) == (Outcome.DRY_RUN, None)
    assert told.message == "the brake would refuse it: budget-workload: 1 of 1 in the last hour"
    assert [one.command for one in await stage.taken()] == ["first"]


async def test_what_the_api_server_refused_is_given_back() -> None:
    stage = Stage(settings={"brake_workload_per_hour": 1})
    await stage.live(ORDERS["refused"], ALIVE)
    assert stage.result_of(ORDERS["refused"].id).reason == "container-unknown"
    assert len(stage.broker.log(SPENDINGS.name, 0)) == 2
    assert await stage.taken() == []
    await stage.live(command("next", action=RAISE), ALIVE)
    assert len(stage.effects) == 1


@pytest.mark.parametrize("asked", ORDERS.values(), ids=ORDERS)
async def test_where_the_store_has_forgotten_a_command_it_is_told_again_as_it_was(asked: Command) -> None:
    stage = Stage()
    await stage.live(asked, Fuse(0, is_after=False))
    stage.store.restore({})
    await stage.live(asked, Fuse(0, is_after=False))
    assert (len(stage.results), len(stage.effects)) == (1, 1 if asked is ORDERS["applied"] else 0)


GONE = {
    "restart-pod": RestartPod(pod="web-1", uid="gone"),
    "delete-pod": DeletePod(pod="web-1", uid="gone"),
    "delete-pod, stuck": DeletePod(pod="web-1", uid="gone", force=True),
}


@pytest.mark.parametrize("action", GONE.values(), ids=GONE)
async def test_a_pod_that_was_gone_before_is_not_told_as_taken_away_and_costs_nothing(action: Action) -> None:
    stage = Stage()
    await stage.live(command(action=action), ALIVE)
    told = stage.result_of("cmd-1")
    assert (told.outcome, told.reason) == (Outcome.REFUSED, "target-gone")
    assert (stage.effects, await stage.taken()) == ([], [])


@pytest.mark.parametrize("action", GONE.values(), ids=GONE)
async def test_a_stop_is_asked_before_a_pod_that_is_gone(action: Action) -> None:
    stage = Stage()
    stopped: Any = {"metadata": {"annotations": {"sre-agent.dev/pause": "ann: moving it"}}}
    stage.cluster.api.patch(Target(DEPLOYMENTS, "bank", "web"), Patch(PatchKind.MERGE, stopped))
    await stage.live(command(action=action), ALIVE)
    assert stage.result_of("cmd-1").reason == "paused"


STORE = "etcdserver: request timed out"


def over(workload: str) -> Document:
    """Return the spec of a budget that lets any pod of a workload go."""
    return {"minAvailable": 0, "selector": {"matchLabels": {"app": workload}}}


async def test_an_eviction_under_two_budgets_is_refused_by_its_name_and_costs_nothing() -> None:
    stage = Stage()
    for name in ("one", "two"):
        stage.cluster.api.create(Target(BUDGETS, "bank"), {"metadata": {"name": name}, "spec": over("web")})
    stage.cluster.advance(timedelta(seconds=5))
    (pod,) = stage.cluster.store.select(PODS)
    await stage.live(command(action=RestartPod(pod=name_of(pod), uid=uid_of(pod))), ALIVE)
    told = stage.result_of("cmd-1")
    assert (told.outcome, told.reason) == (Outcome.REFUSED, "several-budgets")
    assert told.message.startswith("This pod has more than one PodDisruptionBudget")
    assert (stage.effects, await stage.taken()) == ([], [])


async def test_a_webhook_that_the_api_server_cannot_ask_is_the_refusal_of_the_one_command() -> None:
    stage = Stage(ailing=Ailing("patch", 'Internal error occurred: failed calling webhook "deny.example.com": EOF'))
    await stage.live(command(action=RAISE), ALIVE)
    told = stage.result_of("cmd-1")
    assert (told.outcome, told.reason) == (Outcome.REFUSED, "admission-away")
    assert (stage.effects, await stage.taken()) == ([], [])


async def test_what_the_api_server_failed_at_and_may_have_written_is_unknown_and_stays_spent() -> None:
    stage = Stage(ailing=Ailing("patch", STORE))
    await stage.live(command(action=RAISE), ALIVE)
    told = stage.result_of("cmd-1")
    assert (told.outcome, told.reason, told.message) == (Outcome.UNKNOWN, "server-error", STORE)
    assert [one.command for one in await stage.taken()] == ["cmd-1"]


async def test_what_the_api_server_failed_at_and_has_written_is_told_by_the_object() -> None:
    stage = Stage(ailing=Ailing("patch", STORE, is_after=True))
    await stage.live(command(action=RAISE), ALIVE)
    told = stage.result_of("cmd-1")
    assert (told.outcome, told.reason) == (Outcome.APPLIED, "found-applied")
    assert (len(stage.effects), [one.command for one in await stage.taken()]) == (1, ["cmd-1"])


MADE: Document = {
    "apiVersion": "postgresql.cnpg.io/v1",
    "kind": "Cluster",
    "name": "ledger",
    "uid": "c",
    "controller": True,
}


async def test_what_an_operator_made_is_not_changed_and_its_pods_are_restarted_all_the_same() -> None:
    stage = Stage()
    owned: Document = {"metadata": {"ownerReferences": [MADE]}}
    stage.cluster.api.patch(Target(DEPLOYMENTS, "bank", "web"), Patch(PatchKind.MERGE, owned))
    stage.cluster.advance(timedelta(seconds=5))
    (pod,) = stage.cluster.store.select(PODS)
    await stage.live(command("changed", action=RAISE), ALIVE)
    told = stage.result_of("changed")
    assert (told.outcome, told.reason) == (Outcome.REFUSED, "owned-by-other")
    assert told.message.endswith("operator (Cluster ledger of postgresql.cnpg.io)")
    await stage.live(command("restarted", action=RestartPod(pod=name_of(pod), uid=uid_of(pod))), ALIVE)
    assert stage.result_of("restarted").outcome is Outcome.APPLIED


@dataclass
class Watched:
    """A cluster whose administrator stops everything once so many pods were evicted."""

    cluster: Simulation
    most: int
    behind: Any = None

    def of(self, cluster: Any) -> Any:
        self.behind = cluster
        return self

    def __getattr__(self, name: str) -> Any:
        return getattr(self.behind, name)

    async def create(self, path: str, body: Any, *, dry_run: bool = False) -> Any:
        answer = await self.behind.create(path, body, dry_run=dry_run)
        self.most -= path.endswith("/eviction") and not dry_run
        if not self.most:
            stopped: Any = {"metadata": {"annotations": {"sre-agent.dev/pause": "ann: disk full"}}}
            self.cluster.api.patch(Target(NAMESPACES, "", "sre-agent"), Patch(PatchKind.MERGE, stopped))
        return answer


def draining(*, most: int) -> tuple[Stage, Command]:
    """Return a stage with three pods, one node of which is to be drained, and a stop that comes after so many."""
    stage = Stage()
    stage.cluster.api.patch(Target(DEPLOYMENTS, "bank", "web"), Patch(PatchKind.MERGE, {"spec": {"replicas": 4}}))
    stage.cluster.advance(timedelta(seconds=5))
    stage.ailing = Watched(stage.cluster, most)
    node = WorkloadRef(kind="Node", name="node-1")
    return stage, command("drained", action=Drain(at_most=4), workload=node)


async def test_what_a_stop_ends_half_way_is_put_off_says_what_was_done_and_stays_spent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stopping, "FRESH", stopping.FRESH * 0)
    stage, asked = draining(most=1)
    await stage.live(asked, ALIVE)
    told = stage.result_of("drained")
    assert (told.outcome, told.reason) == (Outcome.REFUSED, "paused")
    assert told.retry_after == timedelta(minutes=1)
    assert "stopped by ann" in told.message
    assert [line.split(" ")[0] for line in told.changes] == ["node", "pod"]
    assert [one.command for one in await stage.taken()] == ["drained"]


async def test_what_a_stop_held_before_anything_was_done_is_given_back() -> None:
    stage, asked = draining(most=0)
    stopped: Any = {"metadata": {"annotations": {"sre-agent.dev/pause": "ann: disk full"}}}
    stage.cluster.api.patch(Target(NAMESPACES, "", "sre-agent"), Patch(PatchKind.MERGE, stopped))
    await stage.live(asked, ALIVE)
    told = stage.result_of("drained")
    assert (told.reason, told.changes, await stage.taken()) == ("paused", (), [])


CALL = command("cmd-call", action=CallWebhook(webhook="pipeline"))


def receiver(*answers: BaseException | None) -> tuple[Caller, list[str]]:
    """Return a caller whose calls end as is said, one after the other, and the ids under which they arrived."""
    arrived: list[str] = []
    left = iter(answers)

    async def call(call: Call, *, command: str, dry_run: bool) -> None:
        if dry_run:
            return
        arrived.append(command)
        if (raised := next(left)) is not None:
            raise raised

    return call, arrived


async def told_of(*answers: BaseException | None) -> tuple[Result, list[str]]:
    """Return what is told of a call that is delivered as often as it has answers; a leader may be killed at each."""
    caller, arrived = receiver(*answers)
    stage = Stage(caller=caller)
    for _ in answers:
        with suppress(Killed):
            await stage.live(CALL, Fuse(0, is_after=False))
    await stage.trail()
    return stage.result_of(CALL.id), arrived


async def test_a_call_that_was_answered_is_applied_and_says_what_was_sent() -> None:
    result, arrived = await told_of(None)
    assert (result.outcome, arrived) == (Outcome.APPLIED, [CALL.id])
    assert '"incident":"inc-1","rule":"crash-loop"' in result.changes[0]


async def test_a_call_that_nobody_answered_may_have_been_done() -> None:
    result, _ = await told_of(UnansweredError("no answer in time"))
    assert (result.outcome, result.reason, result.message) == (Outcome.UNKNOWN, "unanswered", "no answer in time")


async def test_what_was_begun_and_not_ended_has_failed_and_says_how_far_it_came() -> None:
    half = HalfDoneError(Refusal.DISRUPTION_BUDGET, "pod shop/b: none may go", changes=("node n1: cordoned",))
    result, _ = await told_of(half)
    assert (result.outcome, result.reason) == (Outcome.FAILED, "disruption-budget")
    assert (result.message, result.changes) == ("pod shop/b: none may go", ("node n1: cordoned",))


async def test_what_is_not_at_its_end_in_time_is_not_known_and_holds_nothing_up() -> None:
    async def call(call: Call, *, command: str, dry_run: bool) -> None:
        await asyncio.Event().wait()

    stage = Stage(caller=call, settings={"act_within_seconds": 1.0})
    await stage.live(CALL, Fuse(0, is_after=False))
    await stage.trail()
    result = stage.result_of(CALL.id)
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, "out-of-time")
    assert result.message == "not at its end after 1s; what is done by then stays"


async def test_a_call_that_the_receiver_refuses_is_refused() -> None:
    result, _ = await told_of(RefusedError(Refusal.WEBHOOK_REFUSES, "it answered 422"))
    assert (result.outcome, result.reason) == (Outcome.REFUSED, "webhook-refuses")


async def test_who_takes_a_call_over_calls_again_under_the_same_id() -> None:
    result, arrived = await told_of(Killed(), None)
    assert (result.outcome, arrived) == (Outcome.APPLIED, [CALL.id, CALL.id])


async def test_what_a_leader_of_before_may_have_sent_is_never_told_as_refused() -> None:
    result, _ = await told_of(Killed(), RefusedError(Refusal.WEBHOOK_AWAY, "no connection"))
    assert (result.outcome, result.reason) == (Outcome.UNKNOWN, "unanswered")
    assert "webhook-away: no connection" in result.message


async def test_a_call_is_settled_once_and_not_made_again() -> None:
    result, arrived = await told_of(None, None)
    assert (result.outcome, arrived) == (Outcome.APPLIED, [CALL.id])
