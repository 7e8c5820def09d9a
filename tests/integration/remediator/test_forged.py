"""A thousand commands that are forged, changed, copied, re-keyed or old, among twenty good ones: those twenty are done.

Judged by the cluster's own log of requests and by its objects, not by what the remediator says of itself.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from typer.testing import CliRunner

from sandbox.stack.brake import UNBRAKED
from sandbox.stack.kafka import KafkaBroker
from sandbox.stack.process import ChildProcess, ServiceSpec
from sandbox.stack.valkey import ValkeyServer
from services.remediator.commands import app
from services.remediator.core.trail import next_entry
from shared.contracts.actions import Rollback, SetMemory
from shared.contracts.codec import Outgoing, decode, encode
from shared.contracts.commands import Command
from shared.contracts.deadletters import DeadLetter
from shared.contracts.inbox import Outcome, Result
from shared.contracts.model import Message
from shared.contracts.requests import OUR_MANAGER
from shared.contracts.signatures import KEY_ID, SIGNATURE, command_seal, covered_text
from shared.contracts.spendings import Spending
from shared.contracts.topics import AUDIT, COMMANDS, DEAD_LETTERS, INBOX, SPENDINGS, Topic
from shared.contracts.workloads import WorkloadRef
from shared.infra.kafka import KafkaArchive, create_topics
from shared.infra.keys import CHECKING_FILE, SigningKey, create_pair, read_signing_key
from shared.infra.kube import KubeClient
from shared.infra.redis import connect
from shared.kernel.ids import derive
from tests.integration.service_process import service, until
from tests.keys import OTHER_KEY, key_settings

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[3]
CLUSTER = "production"
DEPLOYMENTS = "/apis/apps/v1/namespaces/bank/deployments"
MEBIBYTE = 1 << 20
GOOD, FORGED = 20, 1000
WORKLOADS = [f"web-{number}" for number in range(GOOD)]
RAISED = SetMemory(container="server", from_bytes=128 * MEBIBYTE, to_bytes=256 * MEBIBYTE)
"""What each workload would take: nothing but the signature, the moment or the claim is against it."""


@dataclass(frozen=True)
class Stage:
    bootstrap: str
    redis_url: str
    client: KubeClient
    log: Path
    keys: Sequence[SigningKey]
    env: dict[str, str]
    directory: Path

    async def messages(self, topic: Topic) -> list[Message]:
        async with KafkaArchive(self.bootstrap) as archive:
            return [decode(record).message async for record in archive.read(topic)]

    async def write(self, records: Sequence[Outgoing]) -> None:
        producer: Any = AIOKafkaProducer(bootstrap_servers=self.bootstrap)
        await producer.start()
        try:
            for out in records:
                await producer.send(out.topic, out.value, key=out.key, headers=list(out.headers))
            await producer.flush()
        finally:
            await producer.stop()

    def changes(self) -> list[Any]:
        """Return the requests that were to change something in the bank, but for those of the test itself."""
        entries = [json.loads(line) for line in self.log.read_text().splitlines() if "/leases/" not in line]
        return [one for one in entries if one["verb"] != "POST" or "/eviction" in one["path"]]

    async def memory(self) -> dict[str, str]:
        found: Any = (await self.client.list(DEPLOYMENTS)).items
        return {one["metadata"]["name"]: _limit_of(one) for one in found}


def _limit_of(deployment: Any) -> str:
    return deployment["spec"]["template"]["spec"]["containers"][0]["resources"]["limits"]["memory"]


def deployment(name: str) -> Any:
    container = {"name": "server", "image": f"{name}:v1", "resources": {"limits": {"memory": "128Mi"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    selector = {"matchLabels": {"app": name}}
    return {"metadata": {"name": name}, "spec": {"replicas": 1, "selector": selector, "template": template}}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncGenerator[Stage]:
    kubeconfig = tmp_path / "cluster" / "kubeconfig"

    async def is_ready() -> bool:
        return await asyncio.to_thread(kubeconfig.exists)

    cluster = ChildProcess(
        ServiceSpec(
            name="cluster",
            argv=[sys.executable, "-m", "sandbox.cluster", "--dir", str(kubeconfig.parent)],
            env={"PYTHONPATH": str(ROOT)},
            log_path=tmp_path / "cluster.log",
            ready=is_ready,
        )
    )
    pairs = [create_pair(tmp_path / name) for name in ("old", "new")]
    both = tmp_path / "both.pem"
    both.write_bytes(b"".join(pair.checking.read_bytes() for pair in pairs))
    await cluster.start()
    try:
        await cluster.until_ready()
        async with (
            KafkaBroker(tmp_path / "kafka") as broker,
            ValkeyServer(tmp_path / "valkey") as store,
            KubeClient(kubeconfig) as client,
        ):
            await create_topics(broker.bootstrap)
            await client.create("/api/v1/namespaces", {"metadata": {"name": "bank"}})
            for name in WORKLOADS:
                await client.create(DEPLOYMENTS, deployment(name))
            env = {
                "SRE_KAFKA_BOOTSTRAP": broker.bootstrap,
                "SRE_REDIS_URL": store.url,
                "SRE_KUBECONFIG": str(kubeconfig),
                "SRE_CLUSTER": CLUSTER,
                "SRE_CHECKING_KEYS_FILE": str(both),
                **UNBRAKED,
            }
            keys = [read_signing_key(pair.signing) for pair in pairs]
            log = kubeconfig.parent / "audit.jsonl"
            yield Stage(broker.bootstrap, store.url, client, log, keys, env, tmp_path)
    finally:
        await cluster.stop()


def command(name: str, target: str, *, at: datetime | None = None, expires_in: int = 300, **changed: Any) -> Command:
    moment = at or datetime.now(UTC)
    fields = {
        "id": name,
        "at": moment,
        "workload": WorkloadRef(kind="Deployment", namespace="bank", name=target),
        "incident": f"incident-{target}",
        "rule": "rule",
        "playbook": "hash",
        "step": 0,
        "attempt": 1,
        "action": RAISED,
        "dry_run": False,
        "expires_at": moment + timedelta(seconds=expires_in),
        "requested_by": "rule",
    }
    return Command.model_validate(fields | changed)


def signed(ordered: Command, key: SigningKey, *, cluster: str = CLUSTER) -> Outgoing:
    return command_seal(key, cluster)(encode(ordered, topic=COMMANDS, source="decider"))


def flipped(text: bytes, chance: Random) -> bytes:
    place = chance.randrange(len(text))
    return text[:place] + bytes([text[place] ^ 1 << chance.randrange(3)]) + text[place + 1 :]


def with_header(out: Outgoing, number: int, value: bytes) -> Outgoing:
    headers = list(out.headers)
    headers[number] = (headers[number][0], value)
    return replace(out, headers=tuple(headers))


@dataclass(frozen=True)
class Forger:
    """Has read all good commands and can write anything; has keys of its own and not the decider's."""

    good: Sequence[Outgoing]
    chance: Random

    def any_good(self) -> Outgoing:
        return self.chance.choice(self.good)

    def unsigned(self) -> tuple[str, Outgoing]:
        return "unsigned", encode(self._own(), topic=COMMANDS, source="decider")

    def unsigned_in_a_good_ones_name(self) -> tuple[str, Outgoing]:
        taken = decode_out(self.any_good())
        other = taken.model_copy(update={"action": Rollback(), "expires_at": taken.expires_at + timedelta(days=1)})
        return "unsigned", encode(other, topic=COMMANDS, source="decider")

    def signature_removed(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        return "unsigned", replace(good, headers=good.headers[:-1])

    def too_large_for_a_letter(self) -> tuple[str, Outgoing]:
        out = encode(self._own(), topic=COMMANDS, source="decider")
        return "unsigned", replace(out, value=out.value[:-1] + b',"padding":"' + b"x" * 950_000 + b'"}')

    def own_key(self) -> tuple[str, Outgoing]:
        return "key-unknown", signed(self._own(), OTHER_KEY)

    def own_key_in_the_deciders_name(self) -> tuple[str, Outgoing]:
        out = signed(self._own(), OTHER_KEY)
        key = dict(self.any_good().headers)[KEY_ID] or b""
        return "signature-wrong", with_header(out, [name for name, _ in out.headers].index(KEY_ID), key)

    def good_signature_under_another_body(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        target = {"workload": WorkloadRef(kind="Deployment", namespace="bank", name=self.chance.choice(WORKLOADS))}
        changed: dict[str, Any] = self.chance.choice([{"action": Rollback()}, {"step": 7}, {"rule": "mine"}, target])
        other = encode(decode_out(good).model_copy(update=changed), topic=COMMANDS, source="decider")
        if other.value == good.value:
            return self.good_signature_under_another_body()
        return "signature-wrong", replace(good, value=other.value)

    def longer_life(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        later = {"expires_at": decode_out(good).expires_at + timedelta(days=1)}
        other = encode(decode_out(good).model_copy(update=later), topic=COMMANDS, source="decider")
        return "signature-wrong", replace(good, value=other.value)

    def another_key_of_the_record(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        key = self.chance.choice([one.key for one in self.good if one.key != good.key])
        return "signature-wrong", replace(good, key=key)

    def a_byte_of_the_signature(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        return "signature-wrong", with_header(good, -1, flipped(good.headers[-1][1] or b"", self.chance))

    def a_header_changed(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        places = [
            number
            for number, (name, _) in enumerate(good.headers)
            if name in {"ce_time", "ce_subject", "content-type", "traceparent", "ce_source", "ce_cluster"}
        ]
        number = self.chance.choice(places)
        return "signature-wrong", with_header(good, number, flipped(good.headers[number][1] or b"", self.chance))

    def a_header_added(self) -> tuple[str, Outgoing]:
        good = self.any_good()
        place = self.chance.randrange(len(good.headers) + 1)
        added = (*good.headers[:place], ("x-mine", b"1"), *good.headers[place:])
        return "signature-wrong", replace(good, headers=added)

    def _own(self) -> Command:
        return command(f"forged-{self.chance.randrange(1 << 40)}", self.chance.choice(WORKLOADS))


@dataclass(frozen=True)
class Thief(Forger):
    """Has copies of what the decider really signed: for another cluster, for another topic, and long ago."""

    keys: Sequence[SigningKey]

    def of_another_cluster(self) -> tuple[str, Outgoing]:
        return "other-cluster", signed(self._own(), self.chance.choice(self.keys), cluster="staging")

    def of_another_topic(self) -> tuple[str, Outgoing]:
        key = self.chance.choice(self.keys)
        out = signed(self._own(), key)
        told = covered_text("sre.commands.staging", out.key, value=out.value, headers=out.headers[:-1])
        return "signature-wrong", replace(out, headers=(*out.headers[:-1], (SIGNATURE, key.sign(told).hex().encode())))

    def of_last_week(self) -> tuple[str, Outgoing]:
        old = command(
            f"old-{self.chance.randrange(1 << 40)}",
            self.chance.choice(WORKLOADS),
            at=datetime.now(UTC) - timedelta(days=7),
            expires_in=60,
        )
        return "expired", signed(old, self.chance.choice(self.keys))

    def of_the_future(self) -> tuple[str, Outgoing]:
        early = command(
            f"early-{self.chance.randrange(1 << 40)}",
            self.chance.choice(WORKLOADS),
            at=datetime.now(UTC) + timedelta(hours=1),
        )
        return "ordered-in-the-future", signed(early, self.chance.choice(self.keys))

    def a_good_one_again(self) -> tuple[str, Outgoing]:
        return "again", self.any_good()


def decode_out(out: Outgoing) -> Command:
    return Command.model_validate_json(out.value)


def ways(forger: Thief) -> list[Callable[[], tuple[str, Outgoing]]]:
    names = [name for kind in (Thief, Forger) for name, one in vars(kind).items() if callable(one) and name[0] != "_"]
    return [getattr(forger, name) for name in sorted(set(names) - {"any_good", "too_large_for_a_letter"})]


async def test_of_a_thousand_none_is_executed_and_of_twenty_good_ones_each_once(stage: Stage) -> None:
    chance = Random(20261125)
    good = [signed(command(f"good-{number}", name), stage.keys[number % 2]) for number, name in enumerate(WORKLOADS)]
    forger = Thief(good, chance, stage.keys)
    tricks = ways(forger)
    assert len(tricks) >= 16
    forged = [chance.choice(tricks)() for _ in range(FORGED - 3)] + [forger.too_large_for_a_letter() for _ in range(3)]
    records = [out for _, out in forged]
    for out in good:
        records.insert(chance.randrange(len(records)), out)
    remediator = service("remediator", env=stage.env, directory=stage.directory)
    await remediator.start()
    try:
        await remediator.until_ready()
        await stage.write(records)
        await until(lambda: _is_read(stage), within=timedelta(seconds=240))
        await _judge(stage, Counter(reason for reason, _ in forged))
        await _replay_last_week_on_a_wiped_store(stage, forger)
    finally:
        await remediator.stop()


async def _judge(stage: Stage, forged: Counter[str]) -> None:
    assert sum(forged.values()) == FORGED
    assert await stage.memory() == dict.fromkeys(WORKLOADS, "256Mi")
    _assert_done_once(stage)
    letters = [one for one in await stage.messages(DEAD_LETTERS) if isinstance(one, DeadLetter)]
    found = Counter(one.error.partition(":")[0] for one in letters)
    assert found == {reason: forged[reason] for reason in forged if reason not in _ANSWERED}
    results = [one for one in await stage.messages(INBOX) if isinstance(one, Result)]
    by_reason = Counter(one.reason for one in results)
    answered = {reason: forged[reason] for reason in ("expired", "ordered-in-the-future")}
    assert by_reason == answered | {"applied": GOOD + forged["again"]}
    applied = {one.id: one for one in results if one.reason == "applied"}
    assert len(applied) == GOOD
    assert {one.command for one in applied.values()} == {f"good-{number}" for number in range(GOOD)}
    assert all(applied[one.id] == one for one in results if one.reason == "applied")
    print(f"refused: {dict(found)}; answered: {dict(by_reason)}")  # noqa: T201 - the figures


_ANSWERED = {"expired", "ordered-in-the-future", "again"}


def _assert_done_once(stage: Stage) -> None:
    changes = stage.changes()
    assert {(one["verb"], one["query"], one["code"]) for one in changes} == {
        ("PATCH", f"fieldManager={OUR_MANAGER}", 200)
    }
    assert sorted(one["path"] for one in changes) == sorted(f"{DEPLOYMENTS}/{name}" for name in WORKLOADS)


async def _replay_last_week_on_a_wiped_store(stage: Stage, forger: Thief) -> None:
    """Copy a topic of last week into the live one, with no claim left that could remember it."""
    async with connect(stage.redis_url) as redis:
        await redis.run("FLUSHALL")
    before = len(stage.changes())
    await stage.write([forger.of_last_week()[1] for _ in range(200)])
    await until(lambda: _is_read(stage), within=timedelta(seconds=120))
    assert len(stage.changes()) == before
    assert await stage.memory() == dict.fromkeys(WORKLOADS, "256Mi")


async def _is_read(stage: Stage) -> bool:
    """Tell whether each record of the topic has its letter or its result; copies have theirs again."""
    written = sum((await KafkaArchive(stage.bootstrap).end_offsets(COMMANDS)).values())
    letters = {one.key for one in await stage.messages(DEAD_LETTERS)}
    results = [one for one in await stage.messages(INBOX) if isinstance(one, Result)]
    return len(letters) + len(results) >= written


def entry_of(asked: Command, **fields: Any) -> Outgoing:
    """Return an entry of the audit trail that says that a command was applied."""
    told = Result(
        id=derive("result", asked.id),
        at=asked.at,
        workload=asked.workload,
        command=asked.id,
        incident=asked.incident,
        action=asked.action,
        outcome=Outcome.APPLIED,
        reason="applied",
    )
    return encode(next_entry(asked, told, after=None, token=10**9), topic=AUDIT, source="remediator", **fields)


def spending_of(number: int, **fields: Any) -> Outgoing:
    told = Spending(
        id=f"made-up-{number}",
        at=datetime.now(UTC),
        command=f"made-up-{number}",
        incident=f"made-up-{number}",
        workload=WorkloadRef(kind="Deployment", namespace="bank", name=WORKLOADS[0]),
        token=10**9,
    )
    return encode(told, topic=SPENDINGS, source="remediator", **fields)


async def test_records_that_no_remediator_signed_stop_no_leader_answer_no_command_and_fill_no_budget(
    stage: Stage,
) -> None:
    asked = command("asked", WORKLOADS[0])
    await stage.write([entry_of(asked), *(spending_of(number) for number in range(20))])
    limits = {"SRE_BRAKE_CLUSTER_PER_HOUR": "5", "SRE_BRAKE_WORKLOAD_PER_HOUR": "5", "SRE_BRAKE_CLUSTER_AT_ONCE": "5"}
    remediator = service("remediator", env=stage.env | limits, directory=stage.directory)
    await remediator.start()
    try:
        await remediator.until_ready()
        await stage.write([signed(asked, stage.keys[0])])
        await until(lambda: _has_result(stage, asked.id))
    finally:
        await remediator.stop()
    assert (await stage.memory())[WORKLOADS[0]] == "256Mi"
    public = Path(key_settings()["SRE_RECORDS_KEY_FILE"]).parents[1] / CHECKING_FILE
    arguments = ["audit", "verify", "--bootstrap", stage.bootstrap, "--cluster", CLUSTER, "-o", "json"]
    found = await asyncio.to_thread(CliRunner().invoke, app, [*arguments, "--keys", str(public)])
    told = json.loads(found.stdout)
    assert (found.exit_code, told["entries"], told["last"]["place"]) == (1, 1, "sre.audit/0/1")
    assert [(one["fault"], one["place"]) for one in told["breaks"]] == [("not-believed", "sre.audit/0/0")]


async def _has_result(stage: Stage, name: str) -> bool:
    return any(isinstance(one, Result) and one.command == name for one in await stage.messages(INBOX))


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("decider", "SRE_SIGNING_KEY_FILE"),
        ("remediator", "SRE_CHECKING_KEYS_FILE"),
        ("remediator", "SRE_RECORDS_KEY_FILE"),
    ],
)
@pytest.mark.parametrize("told", ["", "/no/such/key.pem"])
async def test_without_its_key_a_service_does_not_start_and_says_how_to_make_one(
    name: str, variable: str, told: str
) -> None:
    others = {one: path for one, path in key_settings().items() if one != variable}
    env = {"PATH": "/usr/bin", "PYTHONPATH": str(ROOT), "SRE_PLAYBOOK_FILE": str(ROOT / "healing-playbook.yaml")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        f"services.{name}",
        env=env | others | ({variable: told} if told else {}),
        stderr=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        _, errors = await process.communicate()
    assert process.returncode == 2
    assert (told or variable) in errors.decode()
    assert not told or "sre-agent keys create --to DIR" in errors.decode()
