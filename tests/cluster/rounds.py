"""Rounds of two remediators, as processes on a real broker, store and API server, of which the leader stands still.

A round orders one command of each kind of action, lets the process that passes a point stand still there, or kills it,
and waits until the other leads and has carried one more command out. Only then the first goes on; when its tenure has
ended, the API server's audit log and the results of the round are judged. Both processes live through all rounds, but
for one that was killed, which is started again.
"""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import cycle, islice
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from sandbox.stack.brake import UNBRAKED
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import ChildProcess, tail_of
from sandbox.stack.progress import to_stderr
from sandbox.stack.valkey import ValkeyServer
from services.remediator.adapters.register import Register
from shared.contracts.actions import Action, RestartPod, Rollback, SetMemory
from shared.contracts.codec import decode
from shared.contracts.commands import Command
from shared.contracts.inbox import Result
from shared.contracts.topics import COMMANDS, INBOX
from shared.contracts.workloads import WorkloadRef
from shared.infra.crashing import REMEDIATOR_POINTS, CrashPoint
from shared.infra.kafka import KafkaArchive, KafkaPublisher, create_topics
from shared.infra.kube import KubeClient, KubeError, PatchType
from tests.cluster.armed import Trouble, lay, taken_by
from tests.cluster.audit import AuditLog
from tests.cluster.objects import BANK, running
from tests.cluster.real import Real
from tests.cluster.verdicts import Judgement, Write, judged, writes_of
from tests.integration.service_process import decider_publisher, service, until

COMMITS = (CrashPoint.BEFORE_SIGNAL_COMMIT, CrashPoint.SIGNAL_COMMITTED)
POINTS = (*(one for one in CrashPoint if one in REMEDIATOR_POINTS), *COMMITS)
LEASE_S = 1.5
MEBIBYTE = 1 << 20
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{BANK}/deployments"
PODS = f"/api/v1/namespaces/{BANK}/pods"
RAISED, ROLLED, RESTARTED, NEXT = WORKLOADS = ("led-raised", "led-rolled", "led-restarted", "led-next")
_INSTANCES = ("one", "other")
_LIMITS = ("128Mi", "256Mi")
_LIVES = timedelta(seconds=60)
_LIVES_SHORT = timedelta(seconds=LEASE_S * 0.7)
"""So that whoever waits for the lease finds them expired: its holder has renewed it within the last quarter of it."""
_PASSED_WITHIN, _DONE_WITHIN = timedelta(seconds=8), timedelta(seconds=90)
_TRIES = 3


@dataclass(frozen=True, slots=True)
class Round:
    """What goes wrong in it; `expires` is that the commands are too old when the next leader finds them."""

    point: CrashPoint
    passing: int
    signal: signal.Signals
    expires: bool = False

    def __str__(self) -> str:
        """Return it as the name of a test."""
        return f"{self.signal.name} {self.point}:{self.passing}{' expires' if self.expires else ''}"


def rounds_of(stops: int) -> list[Round]:
    """Return so many rounds that stop a leader, and a third as many that kill it, each step once at the least."""
    steps = [(point, passing) for passing in (1, 2, 3) for point in POINTS if passing == 1 or point not in COMMITS]
    stopped = [Round(*step, signal.SIGSTOP, expires) for expires in (False, True) for step in steps]
    killed = [Round(*step, signal.SIGKILL) for step in steps]
    return [*islice(cycle(stopped), stops), *islice(cycle(killed), max(stops // 3, len(POINTS)))]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a round went; its story is for whoever must find out why."""

    round: Round
    judgement: Judgement
    story: str
    took_over_s: float = 0.0
    took_s: float = 0.0


@dataclass(slots=True)
class Told:
    """The results so far, read on from where the last reading ended."""

    archive: KafkaArchive
    results: list[Result] = field(default_factory=list[Result])
    _read_to: dict[int, int] = field(default_factory=dict[int, int])

    async def of(self, names: Sequence[str]) -> list[Result]:
        """Return what was told of commands."""
        async for record in self.archive.read(INBOX, start=self._read_to):
            self._read_to[record.partition] = record.offset + 1
            message = decode(record).message
            if isinstance(message, Result):
                self.results.append(message)
        return [one for one in self.results if one.command in names]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Everything that runs, but for the processes of the cluster itself."""

    real: Real
    redis_url: str
    admin: KubeClient
    remediator: KubeClient
    publisher: KafkaPublisher
    told: Told
    processes: Mapping[str, ChildProcess]
    trouble: Path
    ordered: list[str] = field(default_factory=list[str])

    @property
    def log(self) -> AuditLog:
        """Return the API server's audit log."""
        return AuditLog(self.real.directory / "audit.jsonl")

    async def order(self, command: Command) -> None:
        """Write a command as a decider does."""
        self.ordered.append(command.id)
        await self.publisher.publish(command, topic=COMMANDS)

    async def deployment(self, name: str) -> Any:
        """Return a workload."""
        return await self.admin.get(f"{DEPLOYMENTS}/{name}")

    async def pods(self, name: str) -> list[Any]:
        """Return a workload's pods."""
        return [*(await self.admin.list(PODS, labelSelector=f"app={name}")).items]

    async def token(self) -> int:
        """Return the highest token that the cluster knows."""
        return (await Register(self.admin).read()).token


@asynccontextmanager
async def stage(real: Real, directory: Path) -> AsyncGenerator[Stage]:
    """Start a broker and a store, and create the workloads; take all of it away again, the remediators too."""
    async with (
        KafkaBroker(directory / "kafka") as broker,
        ValkeyServer(directory / "valkey") as store,
        KubeClient(real.kubeconfig) as admin,
        KubeClient(real.account("remediator")) as account,
        KafkaArchive(broker.bootstrap) as archive,
        decider_publisher(broker.bootstrap) as publisher,
    ):
        await create_topics(broker.bootstrap)
        env = {
            **UNBRAKED,
            "SRE_KAFKA_BOOTSTRAP": broker.bootstrap,
            "SRE_REDIS_URL": store.url,
            "SRE_KUBECONFIG": str(real.account("remediator")),
            "SRE_LEASE_TTL_SECONDS": str(LEASE_S),
        }
        trouble = directory / "trouble"
        processes = {name: _process(name, env, directory, trouble) for name in _INSTANCES}
        made = Stage(
            real=real,
            redis_url=store.url,
            admin=admin,
            remediator=account,
            publisher=publisher,
            told=Told(archive),
            processes=processes,
            trouble=trouble,
        )
        try:
            await _furnish(made)
            yield made
        finally:
            for process in processes.values():
                await process.kill()
            await _clear(made)


async def played(stage: Stage, rounds: Sequence[Round]) -> list[Ended]:
    """Start the two remediators and play rounds one after the other."""
    for process in stage.processes.values():
        await process.start()
        await process.until_ready()
    ended: list[Ended] = []
    for number, one in enumerate(rounds):
        ended.append(await passed(stage, number, one))
        said = "; ".join(ended[-1].judgement.violations) or "held"
        to_stderr(f"{number + 1} of {len(rounds)}: {one}: {ended[-1].took_s:.1f} s: {said}")
    return ended


async def passed(stage: Stage, number: int, one: Round) -> Ended:
    """Play a round, and again where nobody passed its point: a busy leader loses its lease, or finds all expired."""
    for attempt in range(_TRIES):
        lives = _LIVES_SHORT * (attempt + 1) if one.expires else _LIVES
        ended = await _played(stage, number * _TRIES + attempt, one, lives=lives)
        if ended is not None:
            return ended
    return Ended(one, Judgement((), (), ("its point was not passed",)), _logs(stage))


async def judged_whole(stage: Stage, since: int) -> Judgement:
    """Return what is found in all rounds taken together, also in those that were played again."""
    writes = writes_of(await _entries(stage, since))
    return judged(stage.ordered, writes, await stage.told.of(stage.ordered))


async def _played(stage: Stage, number: int, one: Round, *, lives: timedelta) -> Ended | None:
    """Return how a round went; None where nobody passed its point."""
    began, since = monotonic(), stage.log.end()
    orders = await _orders(stage, number, lives=lives)
    lay(stage.trouble, Trouble(number, one.point, one.passing, one.signal))
    for order in orders:
        await stage.order(order)
    victim = await _victim(stage, [order.id for order in orders])
    if victim is None:
        return None
    before, struck = await stage.token(), monotonic()
    await _until(lambda: _is_struck(stage, victim, one))
    standing = stage.processes[victim].spec.log_path.stat().st_size
    await _until(lambda: _is_above(stage, before))
    took_over_s = monotonic() - struck
    carried_on = await _order_next(stage, number)
    names = [*(order.id for order in orders), carried_on]
    await _until(lambda: _all_told(stage, names))
    await _recovered(stage, victim, one, standing)
    await _until(lambda: _is_settled(stage))
    writes, results = writes_of(await _entries(stage, since)), await stage.told.of(names)
    story = f"{victim} was struck\n{_story(writes, results)}\n{_logs(stage)}"
    return Ended(one, judged(names, writes, results), story, took_over_s, monotonic() - began)


async def _victim(stage: Stage, names: Sequence[str]) -> str | None:
    """Return who has taken the trouble; None where all is answered and nobody has, or will."""
    deadline = monotonic() + _PASSED_WITHIN.total_seconds()
    while (taker := _taker(stage)) is None and monotonic() < deadline:  # noqa: ASYNC110 - another process takes it
        await asyncio.sleep(0.02)
    if taker is not None or _is_taken_at_last(stage):
        return taker or _taker(stage)
    await _until(lambda: _all_told(stage, names))
    return None


def _taker(stage: Stage) -> str | None:
    for name in stage.processes:
        if (taken := taken_by(stage.trouble, name)).exists():
            taken.unlink()
            return name
    return None


def _is_taken_at_last(stage: Stage) -> bool:
    """Take the trouble away; True where somebody was quicker."""
    try:
        stage.trouble.unlink()
    except FileNotFoundError:
        return True
    return False


async def _recovered(stage: Stage, victim: str, one: Round, standing: int) -> None:
    """Let the first go on and return when it stands by: what it had begun has ended then."""
    process = stage.processes[victim]
    if one.signal is signal.SIGKILL:
        await process.start()
        await process.until_ready()
        return
    process.signal(signal.SIGCONT)

    async def has_let_go() -> bool:
        with process.spec.log_path.open("rb") as log:
            log.seek(standing)
            return b"lease.ended" in log.read()

    await _until(has_let_go)


async def _is_struck(stage: Stage, victim: str, one: Round) -> bool:
    process = stage.processes[victim]
    if one.signal is signal.SIGKILL:
        return not process.is_running
    return _stands_still(process.pid)


def _stands_still(pid: int) -> bool:
    state, *_ = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return state == "T"


async def _is_above(stage: Stage, before: int) -> bool:
    return await stage.token() > before


async def _all_told(stage: Stage, names: Sequence[str]) -> bool:
    return {one.command for one in await stage.told.of(names)} == set(names)


async def _entries(stage: Stage, since: int) -> list[Any]:
    """Return what the audit log tells since a position, also of what was only just answered."""
    marker = f"/api/v1/namespaces/{BANK}/pods/audit-{monotonic()}"
    with pytest.raises(KubeError, match="not found"):
        await stage.remediator.get(marker)

    async def is_there() -> bool:
        return marker.encode() in _read(stage.log.path, since)

    await _until(is_there)
    return [json.loads(line) for line in _read(stage.log.path, since).splitlines()]


def _read(path: Path, since: int) -> bytes:
    with path.open("rb") as log:
        log.seek(since)
        return log.read().rpartition(b"\n")[0]


def _story(writes: Iterable[Write], results: Iterable[Result]) -> str:
    told = [one.model_dump_json(exclude={"evidence", "prediction"}) for one in results]
    return "\n".join(["writes:", *map(str, writes), "results:", *told])


def _logs(stage: Stage) -> str:
    return "\n".join(f"{name}:\n{tail_of(one.spec.log_path)}" for name, one in stage.processes.items())


async def _order_next(stage: Stage, number: int) -> str:
    """Order what only the next leader can carry out, so that it has written when the first one goes on."""
    order = await _raise(stage, number, NEXT, lives=_LIVES)
    await stage.order(order)
    return order.id


async def _orders(stage: Stage, number: int, *, lives: timedelta) -> list[Command]:
    """Return one command of each action, each about a workload of its own, which it changes."""
    pod = (await stage.pods(RESTARTED))[0]["metadata"]
    restart = RestartPod(pod=pod["name"], uid=pod["uid"])
    return [
        await _raise(stage, number, RAISED, lives=lives),
        _command(number, RESTARTED, restart, lives=lives),
        _command(number, ROLLED, await _rollback(stage), lives=lives),
    ]


async def _rollback(stage: Stage) -> Rollback:
    """Go to the other of two revisions, by its number: unasked no rollback goes to what the one before left."""
    found = await stage.deployment(ROLLED)
    present = int(str(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"]))
    return Rollback(revision=present - 1)


async def _raise(stage: Stage, number: int, workload: str, *, lives: timedelta) -> Command:
    """Set the limit to the other of two."""
    found = await stage.deployment(workload)
    limit = str(found["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"])
    before, after = (int(one.removesuffix("Mi")) * MEBIBYTE for one in (limit, _LIMITS[limit == _LIMITS[0]]))
    return _command(number, workload, SetMemory(container="server", from_bytes=before, to_bytes=after), lives=lives)


def _command(number: int, workload: str, action: Action, *, lives: timedelta) -> Command:
    now = datetime.now(UTC)
    return Command(
        id=f"{workload}-{number}",
        at=now,
        workload=WorkloadRef(kind="Deployment", namespace=BANK, name=workload),
        incident="incident",
        rule="rule",
        playbook="hash",
        step=0,
        attempt=1,
        action=action,
        dry_run=False,
        expires_at=now + lives,
        requested_by="test",
    )


def _process(name: str, env: Mapping[str, str], directory: Path, trouble: Path) -> ChildProcess:
    usual = service("remediator", env={**env, "SRE_INSTANCE": name}, directory=directory / name)
    argv = [sys.executable, "-m", "tests.cluster.armed", str(trouble)]
    return ChildProcess(replace(usual.spec, name=name, argv=argv))


async def _furnish(stage: Stage) -> None:
    """Create the workloads, of two revisions each, whose pods wait for a node that is not there."""
    await _clear(stage)
    for name in WORKLOADS:
        await stage.admin.create(DEPLOYMENTS, _workload(name))
    await _until(lambda: _is_settled(stage))
    for name in WORKLOADS:
        containers = [{"name": "server", "resources": {"limits": {"memory": _LIMITS[1]}}}]
        change: Any = {"spec": {"template": {"spec": {"containers": containers}}}}
        await stage.admin.patch(f"{DEPLOYMENTS}/{name}", change, kind=PatchType.STRATEGIC)
    await _until(lambda: _is_settled(stage))


def _workload(name: str) -> Any:
    document = running(name)
    # no pod ever becomes ready, so none may be waited for
    document["spec"]["strategy"] = {"rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    spec = document["spec"]["template"]["spec"]
    spec["nodeSelector"] = {"node": "nowhere"}
    spec["containers"][0]["resources"] = {"limits": {"memory": _LIMITS[0]}}
    return document


async def _is_settled(stage: Stage) -> bool:
    """Tell whether the controllers have taken up all changes, and each workload has one pod that is not going."""
    for name in WORKLOADS:
        found = await stage.deployment(name)
        status = found["status"]
        is_seen = status.get("observedGeneration") == found["metadata"]["generation"]
        if not (is_seen and status.get("updatedReplicas") == status.get("replicas") == 1):
            return False
        pods = await stage.pods(name)
        if len(pods) != 1 or "deletionTimestamp" in pods[0]["metadata"]:
            return False
    return True


async def _clear(stage: Stage) -> None:
    listed: list[Any] = [*(await stage.admin.list(DEPLOYMENTS)).items]
    for metadata in (one["metadata"] for one in listed):
        if metadata["name"] in WORKLOADS:
            await stage.admin.delete(f"{DEPLOYMENTS}/{metadata['name']}", uid=metadata["uid"])


async def _until(condition: Callable[[], Awaitable[bool]]) -> None:
    await until(condition, within=_DONE_WITHIN)
