"""The API on a real store: what it shows follows the topics, what it changes goes through the inbox."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from typer.testing import CliRunner, Result

from sandbox.stack.ports import free_port
from services.api.adapters.read_model import ForgottenError, ReadModel
from services.api.commands import app as cli
from services.api.core.people import Holder, Person, holder_of
from services.api.handlers import Alerts, Interventions, Questions
from services.api.problems import ProblemError
from services.api.routes import Streams, build_app
from services.api.silence_commands import app as silence_app
from services.api.silences import MOST_ACTIVE, Silences
from services.decider.adapters.replaying import replay_inbox
from shared.contracts.approvals import Terms
from shared.contracts.codec import Envelope, decode
from shared.contracts.inbox import Approval, ManualAction, Matchers, Pause, Resume, Silence, SilenceEnded
from shared.contracts.incidents import Decision, Incident, Mode, Phase, Reason, Severity
from shared.contracts.model import Message
from shared.contracts.playbooks import LoadOutcome, PlaybookFault, PlaybookInForce, PlaybookLoad, RuleBrief
from shared.contracts.reports import Analyzer, Confidence, Report
from shared.contracts.signals import AlertSignal
from shared.contracts.stops import EVERYTHING, Stop, Way
from shared.contracts.topics import (
    DECISIONS,
    EVIDENCE,
    INBOX,
    INCIDENTS,
    PLAYBOOKS,
    RCA_REPORTS,
    SIGNALS_PROMETHEUS,
    STOPS,
    Topic,
)
from shared.contracts.workloads import WorkloadRef
from shared.infra.memory import MemoryBroker
from shared.infra.redis import Redis, connect
from tests.fakes.clock import FakeClock
from tests.integration.service_process import until
from tests.unit.services.decider.core.build import activated, finding

pytestmark = pytest.mark.integration
NOW = datetime(2030, 1, 1, tzinfo=UTC)
FRONTEND = WorkloadRef(kind="Deployment", namespace="bank", name="frontend")
TOPICS = (DECISIONS, INCIDENTS, EVIDENCE, RCA_REPORTS, PLAYBOOKS, STOPS, INBOX)
ANN = {"Authorization": "Bearer s3cret"}
ROLES = ("viewer", "operator", "approver", "admin", "alerts", "database")
PEOPLE = [Holder(Person(f"{role}-1", (role,)), hashlib.sha256(f"of-{role}".encode()).hexdigest()) for role in ROLES]
"""One of each role; the last is of none that gives a right."""


@dataclass
class Stage:
    """The application, and the world around it."""

    client: httpx.AsyncClient
    app: FastAPI
    broker: MemoryBroker
    model: ReadModel
    redis: Redis
    clock: FakeClock

    async def told(self, message: Message, topic: Topic) -> Envelope:
        """Write a message and let the read model take it up."""
        placed = await self.broker.publisher("test").publish(message, topic=topic)
        envelope = decode(self.broker.log(topic.name, placed.partition)[placed.offset])
        await self.model.apply(envelope)
        return envelope

    def written(self, topic: Topic) -> list[Message]:
        """Return all that was written to a topic."""
        records = [one for number in range(topic.partitions) for one in self.broker.log(topic.name, number)]
        return [decode(record).message for record in records]

    def inbox(self) -> list[Message]:
        """Return what was written into the inbox, a broadcast once."""
        return list({message.id: message for message in self.written(INBOX)}.values())


def incident(phase: Phase = Phase.AWAITING_APPROVAL, *, number: int = 1) -> Incident:
    return Incident(
        id=f"inc-{number}",
        at=NOW,
        workload=FRONTEND,
        rule="crash-loop",
        playbook="hash",
        severity=Severity.CRITICAL,
        mode=Mode.APPROVAL,
        summary="it crashes",
        phase=phase,
        reason=Reason.APPROVAL_REQUIRED,
        signal_at=NOW - timedelta(seconds=1),
        opened_at=NOW + timedelta(seconds=number),
    )


def decision(number: int, reason: Reason = Reason.INCIDENT_OPENED) -> Decision:
    return Decision(
        id=f"dec-{number}",
        at=NOW + timedelta(seconds=number),
        workload=FRONTEND,
        cause="e",
        reason=reason,
        incident="inc-1",
        detail="<script>alert(1)</script>",
    )


def report() -> Report:
    return Report(
        id="rep-1",
        at=NOW + timedelta(seconds=9),
        incident="inc-1",
        request="rca-1",
        analyzer=Analyzer.RULES,
        fallback="no key",
        summary="s",
        root_cause="r",
        confidence=Confidence.LOW,
    )


@asynccontextmanager
async def served(app: FastAPI) -> AsyncGenerator[str]:
    """Serve an application over HTTP while the context lasts."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_config=None, timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())

    async def is_started() -> bool:
        return server.started

    await until(is_started)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await serving


async def is_free(client: httpx.AsyncClient) -> bool:
    """Tell whether a place for a live reader is free."""
    async with client.stream("GET", "/v1/stream") as stream:
        return stream.status_code == 200


@pytest.fixture
async def stage(redis_url: str) -> AsyncGenerator[Stage]:
    clock = FakeClock(NOW)
    broker = MemoryBroker(clock)
    async with connect(redis_url) as redis:
        await redis.run("FLUSHALL")
        model = ReadModel(redis)
        await model.begin(TOPICS)
        app = build_app(
            Questions(model, {"decider": "http://127.0.0.1:9"}),
            Interventions(model, broker.publisher("api"), clock),
            silences=Silences(model, broker.publisher("api"), clock),
            alerts=Alerts(broker.publisher("api"), cluster="test", clock=clock),
            holders=[holder_of("ann", "s3cret"), *PEOPLE],
            max_streams=1,
            is_stopping=lambda: False,
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
            yield Stage(client, app, broker, model, redis, clock)


async def test_incidents_are_listed_with_the_newest_first_and_the_open_ones_apart(stage: Stage) -> None:
    await stage.told(incident(number=1), INCIDENTS)
    await stage.told(incident(Phase.HEALED, number=2), INCIDENTS)
    every = (await stage.client.get("/v1/incidents")).json()
    still = (await stage.client.get("/v1/incidents", params={"only_open": "true"})).json()
    assert [one["id"] for one in every] == ["inc-2", "inc-1"]
    assert [one["id"] for one in still] == ["inc-1"]


async def test_a_timeline_is_in_the_order_of_its_moments(stage: Stage) -> None:
    await stage.told(incident(), INCIDENTS)
    for number in (3, 1, 2):
        await stage.told(decision(number), DECISIONS)
    await stage.told(report(), RCA_REPORTS)
    lines = (await stage.client.get("/v1/incidents/inc-1/timeline")).json()
    assert [line["seconds"] for line in lines] == [0.0, 2.0, 3.0, 4.0, 10.0]
    assert [line["happening"] for line in lines] == ["signal", "decision", "decision", "decision", "report"]


async def test_what_is_delivered_twice_is_shown_once(stage: Stage) -> None:
    await stage.told(incident(), INCIDENTS)
    envelope = await stage.told(decision(1), DECISIONS)
    await stage.model.apply(envelope)
    assert len((await stage.client.get("/v1/decisions")).json()) == 1


async def test_a_store_that_forgot_says_so_and_is_read_anew(stage: Stage) -> None:
    envelope = await stage.told(incident(), INCIDENTS)
    await stage.redis.run("FLUSHALL")
    with pytest.raises(ForgottenError):
        await stage.model.apply(envelope)
    start = await stage.model.begin(TOPICS)
    assert set(start.values()) == {0}
    await stage.model.apply(envelope)
    assert (await stage.client.get("/v1/incidents/inc-1")).json()["phase"] == "awaiting-approval"


def playbook(digest: str = "aaaa", *, seconds: int = 0) -> PlaybookInForce:
    rule = RuleBrief(name="crash-loop", signal="container", severity=Severity.CRITICAL, mode=Mode.LIVE)
    at = NOW + timedelta(seconds=seconds)
    return PlaybookInForce(
        id=f"in-force-{digest}", at=at, hash=digest, name="bank", mode=Mode.LIVE, rules=(rule,), text="spec: …"
    )


def load(outcome: LoadOutcome, digest: str) -> PlaybookLoad:
    fault = PlaybookFault(file="p.yaml", line=3, column=7, path="spec.mode", expected="expected 'live'", hint="so")
    faults = (fault,) if outcome is LoadOutcome.REJECTED else ()
    return PlaybookLoad(id=f"load-{digest}", at=NOW, outcome=outcome, hash=digest, faults=faults)


async def test_before_a_playbook_is_in_force_there_is_none(stage: Stage) -> None:
    answer = await stage.client.get("/v1/playbook")
    assert (answer.status_code, answer.json()["reason"]) == (404, "playbook-unknown")
    assert (await stage.client.get("/v1/status")).json()["playbook"] is None


async def test_the_playbook_in_force_is_shown_with_its_rules_and_since_when(stage: Stage) -> None:
    await stage.told(playbook("aaaa"), PLAYBOOKS)
    await stage.told(playbook("bbbb", seconds=60), PLAYBOOKS)
    told = (await stage.client.get("/v1/playbook")).json()
    assert (told["hash"], told["name"], told["since"]) == ("bbbb", "bank", "2030-01-01T00:01:00Z")
    assert [(rule["name"], rule["mode"]) for rule in told["rules"]] == [("crash-loop", "live")]
    assert (told["rejected"], "text" in told) == (None, False)


async def test_a_rejected_file_is_shown_with_its_faults_until_a_good_one_comes(stage: Stage) -> None:
    await stage.told(playbook(), PLAYBOOKS)
    await stage.told(load(LoadOutcome.REJECTED, "cccc"), PLAYBOOKS)
    rejected = (await stage.client.get("/v1/status")).json()["playbook"]["rejected"]
    assert (rejected["hash"], rejected["since"]) == ("cccc", "2030-01-01T00:00:00Z")
    assert [(fault["line"], fault["column"], fault["hint"]) for fault in rejected["faults"]] == [(3, 7, "so")]
    await stage.told(load(LoadOutcome.ACCEPTED, "dddd"), PLAYBOOKS)
    assert (await stage.client.get("/v1/playbook")).json()["rejected"] is None


async def test_the_status_command_says_what_is_in_force_and_what_is_rejected(stage: Stage) -> None:
    await stage.told(playbook(), PLAYBOOKS)
    await stage.told(load(LoadOutcome.REJECTED, "cccc"), PLAYBOOKS)
    async with served(stage.app) as api:
        told = await asyncio.to_thread(CliRunner().invoke, cli, ["status", "--api", api])
    assert told.exit_code == 1
    assert "playbook bank aaaa: in force since 2030-01-01T00:00:00+00:00, 1 rules, mode live" in told.stdout
    assert "  p.yaml:3:7: spec.mode: expected 'live' (so)" in told.stdout


VERSION = incident().version


def hindsight(number: int, reason: Reason, *, day: int = 0, rule: str = "crash-loop") -> Decision:
    at = NOW + timedelta(days=day)
    return decision(number, reason).model_copy(update={"rule": rule, "at": at})


async def test_the_rules_are_listed_with_how_what_they_forwent_turned_out(stage: Stage) -> None:
    await stage.told(playbook(), PLAYBOOKS)
    for number, reason in enumerate((Reason.MISSED, Reason.CONFIRMED, Reason.NEEDLESS, Reason.SHADOWED)):
        await stage.model.apply(await stage.told(hindsight(number, reason), DECISIONS))  # delivered twice
    await stage.told(hindsight(2, Reason.NEEDLESS), DECISIONS)  # written twice, after a crash
    await stage.told(hindsight(9, Reason.DIFFERED, rule="gone"), DECISIONS)
    told = (await stage.client.get("/v1/rules")).json()
    assert [(one["name"], one["mode"]) for one in told] == [("crash-loop", "live"), ("gone", None)]
    counted = {name: count for name, count in told[0]["score"].items() if count}
    assert counted == {"needless": 1, "missed": 1, "confirmed": 1}
    assert (told[0]["precision"], told[1]["precision"]) == (pytest.approx(2 / 3), None)


async def test_a_score_is_of_the_last_month_or_of_the_days_that_are_asked_for(stage: Stage) -> None:
    for number, day in enumerate((0, 29, 31)):
        await stage.told(hindsight(number, Reason.MISSED, day=day), DECISIONS)

    async def missed(**since: str) -> list[int]:
        return [one["score"]["missed"] for one in (await stage.client.get("/v1/rules", params=since)).json()]

    assert await missed() == [2]
    assert await missed(since="2030-01-31") == [1]
    assert await missed(since="2030-03-01") == []
    assert (await stage.client.get("/v1/rules", params={"since": "lately"})).status_code == 422


async def test_the_rules_command_shows_a_precision_with_its_counts(stage: Stage) -> None:
    await stage.told(playbook(), PLAYBOOKS)
    for number, reason in enumerate((Reason.MISSED, Reason.NEEDLESS, Reason.NEEDLESS)):
        await stage.told(hindsight(number, reason), DECISIONS)
    async with served(stage.app) as api:
        told = await asyncio.to_thread(CliRunner().invoke, cli, ["rules", "--api", api], env={"COLUMNS": "200"})
    assert told.exit_code == 0, told.output
    assert "33 % (1 of 3)" in told.stdout


async def test_an_approval_is_written_under_the_name_of_the_token(stage: Stage) -> None:
    await stage.told(incident(), INCIDENTS)
    version = (await stage.client.get("/v1/incidents/inc-1")).json()["version"]
    body = {"version": version, "note": "ok"}
    answer = await stage.client.post("/v1/incidents/inc-1/approve", json=body, headers=ANN)
    assert answer.status_code == 202
    approval = stage.inbox()[0]
    assert isinstance(approval, Approval)
    assert (approval.by, approval.approved, approval.step, approval.incident) == ("ann", True, 0, "inc-1")
    assert (approval.roles, approval.version) == (("admin",), version)
    assert (await stage.client.get("/v1/incidents")).json()[0]["version"] == version


@pytest.mark.parametrize("answered", ["approve", "reject"])
@pytest.mark.parametrize(
    ("phase", "attempt", "reason", "told"),
    [
        (Phase.HEALED, 1, "approval-not-awaited", "it is healed"),
        (Phase.AWAITING_APPROVAL, 2, "approval-stale", "it now waits with step 0, attempt 2"),
    ],
)
async def test_an_answer_to_what_has_changed_is_refused_with_what_is_there_now(
    stage: Stage, answered: str, phase: Phase, attempt: int, reason: str, told: str
) -> None:
    await stage.told(incident(phase).model_copy(update={"attempt": attempt}), INCIDENTS)
    answer = await stage.client.post(f"/v1/incidents/inc-1/{answered}", json={"version": VERSION}, headers=ANN)
    assert (answer.status_code, answer.json()["reason"]) == (409, reason)
    assert told in answer.json()["detail"]
    assert stage.inbox() == []


async def test_an_answer_to_nothing_that_was_shown_is_refused_by_the_field(stage: Stage) -> None:
    await stage.told(incident(), INCIDENTS)
    answer = await stage.client.post("/v1/incidents/inc-1/approve", json={"step": 0}, headers=ANN)
    assert (answer.status_code, answer.json()["faults"][0]["field"]) == (422, "body.version")


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        (Terms(by=("approver-1",)), None),
        (Terms(by=("approver",)), None),
        (Terms(by=("database",)), "approver-not-named"),
        (Terms(other_person=True, asked_by="approver-1"), "approver-asked-for-it"),
        (Terms(other_person=True, asked_by="ann"), None),
    ],
)
async def test_who_may_not_approve_is_told_at_once_and_may_reject(
    stage: Stage, terms: Terms, reason: str | None
) -> None:
    await stage.told(incident().model_copy(update={"approval": terms}), INCIDENTS)
    headers = {"Authorization": "Bearer of-approver"}
    answer = await stage.client.post("/v1/incidents/inc-1/approve", json={"version": VERSION}, headers=headers)
    assert (answer.status_code, answer.json().get("reason")) == ((403, reason) if reason else (202, None))
    assert len(stage.inbox()) == (0 if reason else 1)
    rejected = await stage.client.post("/v1/incidents/inc-1/reject", json={"version": VERSION}, headers=headers)
    assert rejected.status_code == 202


async def test_the_command_line_answers_what_it_has_shown_and_names_what_it_answers(stage: Stage) -> None:
    await stage.told(incident(), INCIDENTS)
    async with served(stage.app) as api:
        words = ["--api", api, "--token", "s3cret"]
        stale = await asyncio.to_thread(CliRunner().invoke, cli, ["approve", "inc-1", "--version", "old", *words])
        fresh = await asyncio.to_thread(CliRunner().invoke, cli, ["approve", "inc-1", *words])
    assert stale.exit_code != 0
    assert f"version: {VERSION}" in fresh.stdout
    assert [one.version for one in stage.inbox() if isinstance(one, Approval)] == [VERSION]


async def test_pause_and_resume_reach_every_partition_and_the_topic_of_stops(stage: Stage) -> None:
    await stage.client.post("/v1/pause", json={"cause": "maintenance"}, headers=ANN)
    (shown,) = (await stage.client.get("/v1/status")).json()["stops"]
    assert (shown["by"], shown["cause"], shown["way"], shown["scope"]) == ("ann", "maintenance", "api", "*")
    assert datetime.fromisoformat(shown["at"]) == NOW
    assert all(stage.broker.log(INBOX.name, number) for number in range(INBOX.partitions))
    await stage.client.post("/v1/resume", headers=ANN)
    assert (await stage.client.get("/v1/status")).json()["stops"] == []
    assert [type(one) for one in stage.inbox()] == [Pause, Resume]
    assert [one.holds for one in stage.written(STOPS) if isinstance(one, Stop)] == [True, False]
    again = await stage.client.post("/v1/resume", headers=ANN)
    assert (again.status_code, again.json()["reason"]) == (409, "not-paused")


BEN = {"Authorization": "Bearer of-operator"}  # operator-1


async def test_pauses_of_several_people_add_up_and_each_is_lifted_by_itself(stage: Stage) -> None:
    await stage.client.post("/v1/pause", json={"cause": "disk full"}, headers=ANN)
    await stage.client.post("/v1/pause", json={"cause": "release"}, headers=BEN)
    shown = (await stage.client.get("/v1/status")).json()["stops"]
    assert {(one["by"], one["cause"]) for one in shown} == {("ann", "disk full"), ("operator-1", "release")}
    answer = await stage.client.post("/v1/resume", headers=BEN)
    assert answer.json()["lifted"]["by"] == "operator-1"
    assert [one["by"] for one in answer.json()["in_force"]] == ["ann"]
    shown = (await stage.client.get("/v1/status")).json()["stops"]
    assert [(one["by"], one["cause"]) for one in shown] == [("ann", "disk full")]
    assert [one.of for one in stage.inbox() if isinstance(one, Resume)] == ["operator-1"]


async def test_what_another_has_paused_is_lifted_only_when_that_one_is_named(stage: Stage) -> None:
    await stage.client.post("/v1/pause", json={"cause": "disk full"}, headers=ANN)
    own = await stage.client.post("/v1/resume", headers=BEN)
    assert (own.status_code, own.json()["reason"]) == (409, "paused-by-another")
    assert "nothing is paused by operator-1" in own.json()["detail"]
    assert "everything is stopped by ann (api, since" in own.json()["detail"]
    assert [one["by"] for one in (await stage.client.get("/v1/status")).json()["stops"]] == ["ann"]
    anns = await stage.client.post("/v1/resume", json={"of": "ann"}, headers=BEN)
    assert (anns.status_code, anns.json()["in_force"]) == (202, [])
    assert (await stage.client.get("/v1/status")).json()["stops"] == []
    lifted = [one for one in stage.written(STOPS) if isinstance(one, Stop)][-1]
    assert (lifted.by, lifted.lifted_by, lifted.holds) == ("ann", "operator-1", False)


async def test_the_command_line_says_what_holds_on_after_a_resume(stage: Stage) -> None:
    await stage.client.post("/v1/pause", json={"cause": "release"}, headers=BEN)
    async with served(stage.app) as api:
        words = ["--api", api, "--token", "s3cret"]
        await asyncio.to_thread(CliRunner().invoke, cli, ["pause", "disk full", *words])
        own = await asyncio.to_thread(CliRunner().invoke, cli, ["resume", *words])
        other = await asyncio.to_thread(CliRunner().invoke, cli, ["resume", "--of", "operator-1", *words])
    assert own.stdout.startswith("the pause of ann is over\nstill, everything is stopped by operator-1 (api, since")
    assert other.stdout == "the pause of operator-1 is over\nactions go on\n"


async def test_a_stop_comes_back_from_its_topic_when_the_store_was_wiped(stage: Stage) -> None:
    await stage.client.post("/v1/pause", json={"cause": "maintenance"}, headers=ANN)
    await stage.redis.run("FLUSHALL")
    await stage.model.begin(TOPICS)
    await stage.model.apply(Envelope(stage.written(STOPS)[0], stage.broker.log(STOPS.name, 0)[0], {}))
    (shown,) = (await stage.client.get("/v1/status")).json()["stops"]
    assert (shown["by"], shown["cause"]) == ("ann", "maintenance")


def stop(way: Way, scope: str = EVERYTHING, *, holds: bool = True) -> Stop:
    return Stop(id=f"{way}-{scope}-{holds}", at=NOW, way=way, scope=scope, holds=holds, by="ben", cause="disk full")


async def test_all_stops_in_force_are_shown_by_whom_since_when_and_by_which_way(stage: Stage) -> None:
    for told in (stop(Way.CONFIG_MAP), stop(Way.ANNOTATION, "bank"), stop(Way.ANNOTATION, "shop")):
        await stage.told(told, STOPS)
    await stage.told(stop(Way.ANNOTATION, "shop", holds=False), STOPS)
    async with served(stage.app) as api:
        told = await asyncio.to_thread(CliRunner().invoke, cli, ["status", "--api", api])
    assert "everything is stopped by ben (config-map, since 2030-01-01T00:00:00+00:00): disk full" in told.stdout
    assert "bank is stopped by ben (annotation, since 2030-01-01T00:00:00+00:00): disk full" in told.stdout
    assert "shop" not in told.stdout


async def test_resuming_does_not_lift_what_stands_in_the_cluster_and_says_so(stage: Stage) -> None:
    await stage.told(stop(Way.CONFIG_MAP), STOPS)
    answer = await stage.client.post("/v1/resume", headers=ANN)
    assert (answer.status_code, answer.json()["reason"]) == (409, "not-paused")
    assert "(config-map, since" in answer.json()["detail"]
    assert stage.inbox() == []


def silencing(**changed: object) -> dict[str, object]:
    """Return what a person asks for who silences the namespace bank for an hour."""
    words: dict[str, object] = {"matchers": {"namespace": "bank"}, "cause": "moving the database"}
    return words | {"expires_at": (NOW + timedelta(hours=1)).isoformat()} | changed


async def test_a_silence_reaches_every_partition_under_one_id_and_is_listed_at_once(stage: Stage) -> None:
    answer = await stage.client.post("/v1/silences", json=silencing(), headers=ANN)
    assert answer.status_code == 202
    silence = stage.inbox()[0]
    assert isinstance(silence, Silence)
    assert (silence.by, silence.matchers.said, silence.id) == ("ann", {"namespace": "bank"}, answer.json()["id"])
    assert all(stage.broker.log(INBOX.name, number) for number in range(INBOX.partitions))
    listed = (await stage.client.get("/v1/silences")).json()
    assert [(one["silence"]["id"], one["active"], one["suppressed"]) for one in listed] == [(silence.id, True, 0)]


async def test_what_a_silence_suppressed_is_counted_once_however_often_it_is_delivered_or_written(
    stage: Stage,
) -> None:
    inbox = stage.broker.publisher("decider")
    await inbox.broadcast(activated(), topic=INBOX)
    silence = (await stage.client.post("/v1/silences", json=silencing(), headers=ANN)).json()["id"]
    for number in range(2):
        stage.clock.moment += timedelta(minutes=1)
        await inbox.publish(finding(seconds=number, pod=f"frontend-{number}"), topic=INBOX)
    made = [one for _, one in (await replay_inbox(stage.broker.archive())).decisions()]
    for one in made:
        envelope = await stage.told(one, DECISIONS)
        await stage.model.apply(envelope)  # delivered again
        await stage.told(one, DECISIONS)  # written again, by a decider that died before it could know
    assert [(one.reason, one.suppressed_by) for one in made] == [(Reason.SILENCED, silence)] * 2
    listed = (await stage.client.get("/v1/silences")).json()
    assert [one["suppressed"] for one in listed] == [2]
    assert datetime.fromisoformat(listed[0]["last_suppressed_at"]) == NOW + timedelta(minutes=2)


async def test_a_silence_is_ended_by_whoever_ends_it_and_once(stage: Stage) -> None:
    silence = (await stage.client.post("/v1/silences", json=silencing(), headers=ANN)).json()["id"]
    assert (await stage.client.delete(f"/v1/silences/{silence}", headers=ANN)).status_code == 202
    ended = stage.inbox()[-1]
    assert isinstance(ended, SilenceEnded)
    assert (ended.silence, ended.by) == (silence, "ann")
    listed = (await stage.client.get("/v1/silences")).json()
    assert [(one["active"], one["ended"]["by"]) for one in listed] == [(False, "ann")]
    assert (await stage.client.get("/v1/silences", params={"only_active": "true"})).json() == []
    again = await stage.client.delete(f"/v1/silences/{silence}", headers=ANN)
    assert (again.status_code, again.json()["reason"]) == (409, "silence-over")


async def test_a_silence_that_has_expired_is_listed_after_those_that_are_active(stage: Stage) -> None:
    soon = (NOW + timedelta(minutes=1)).isoformat()
    for words in (silencing(expires_at=soon, cause="first"), silencing(cause="second")):
        await stage.client.post("/v1/silences", json=words, headers=ANN)
    stage.clock.moment += timedelta(minutes=1)
    listed = (await stage.client.get("/v1/silences")).json()
    assert [(one["silence"]["cause"], one["active"]) for one in listed] == [("second", True), ("first", False)]
    over = await stage.client.delete(f"/v1/silences/{listed[1]['silence']['id']}", headers=ANN)
    assert (over.status_code, over.json()["reason"]) == (409, "silence-over")


async def test_a_store_that_forgot_learns_the_silences_from_the_inbox(stage: Stage) -> None:
    silence = (await stage.client.post("/v1/silences", json=silencing(), headers=ANN)).json()["id"]
    await stage.client.delete(f"/v1/silences/{silence}", headers=ANN)
    before = (await stage.client.get("/v1/silences")).json()
    await stage.redis.run("FLUSHALL")
    await stage.model.begin(TOPICS)
    for number in range(INBOX.partitions):
        for record in stage.broker.log(INBOX.name, number):
            await stage.model.apply(decode(record))
    assert (await stage.client.get("/v1/silences")).json() == before
    assert len(before) == 1


async def test_the_cli_silences_lists_and_ends(stage: Stage) -> None:
    async with served(stage.app) as url:
        told = {"SRE_API_URL": url, "SRE_TOKEN": "s3cret", "COLUMNS": "200"}
        stage.clock.moment = datetime.now(UTC)  # the CLI counts from the machine's clock

        async def run(*words: str) -> Result:
            return await asyncio.to_thread(CliRunner().invoke, silence_app, list(words), env=told)

        added = await run("add", "moving the database", "--for", "2h", "--namespace", "b*", "--rule", "crash")
        listed = await run("list")
        ended = await run("end", added.stdout.strip())
        after = await run("list", "--active", "-o", "json")
        refused = await run("add", "why", "--for", "2 hours", "--rule", "*")
    assert [one.exit_code for one in (added, listed, ended, after)] == [0] * 4
    assert all(word in listed.stdout for word in ("namespace: b*", "rule: crash", "ann", "moving the database"))
    assert json.loads(after.stdout) == []
    assert "--for: expected a duration such as 30s, 5m or 1h30m" in str(refused.exception)
    silence = stage.inbox()[0]
    assert isinstance(silence, Silence)
    assert silence.matchers == Matchers(namespace="b*", rule="crash")
    assert abs(silence.expires_at - silence.at - timedelta(hours=2)) < timedelta(minutes=1)


async def test_more_silences_than_anybody_looks_through_are_refused(stage: Stage) -> None:
    for number in range(MOST_ACTIVE):
        held = Silence(
            id=f"silence-{number}",
            at=NOW,
            by="ann",
            cause="c",
            matchers=Matchers(rule="*"),
            expires_at=NOW + timedelta(hours=1),
        )
        await stage.model.note(held)
    answer = await stage.client.post("/v1/silences", json=silencing(), headers=ANN)
    assert (answer.status_code, answer.json()["reason"]) == (409, "too-many-silences")
    assert stage.inbox() == []


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"cause": ""}, "body.cause"),
        ({"cause": " "}, "body.cause"),
        ({"matchers": {}}, "body.matchers"),
        ({"matchers": {"namespac": "bank", "rule": "crash"}}, "body.matchers.namespac"),
        ({"matchers": {"namespace": "bank/web"}}, "body.matchers.namespace"),
        ({"expires_at": "tomorrow"}, "body.expires_at"),
        ({"expires_at": "2030-01-01T01:00:00"}, "body.expires_at"),
        ({"expires_at": NOW.isoformat()}, "body.expires_at"),
        ({"expires_at": (NOW + timedelta(days=30, seconds=1)).isoformat()}, "body.expires_at"),
        ({"until": "x"}, "body.until"),
    ],
)
async def test_a_silence_that_says_too_little_or_too_much_is_refused_by_the_field(
    stage: Stage, changed: dict[str, object], field: str
) -> None:
    answer = await stage.client.post("/v1/silences", json=silencing(**changed), headers=ANN)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid-request")
    assert [fault["field"] for fault in answer.json()["faults"]] == [field]
    assert stage.inbox() == []


async def test_a_manual_action_takes_the_way_of_the_inbox(stage: Stage) -> None:
    body = {"workload": "bank/Deployment/frontend", "action": {"kind": "rollback"}, "dry_run": True}
    answer = await stage.client.post("/v1/actions", json=body, headers=ANN)
    assert answer.status_code == 202
    action = stage.inbox()[0]
    assert isinstance(action, ManualAction)
    assert (action.by, action.dry_run, action.workload) == ("ann", True, FRONTEND)


async def test_the_command_line_asks_for_no_action_that_nobody_named(stage: Stage) -> None:
    async with served(stage.app) as api:
        words = ["act", "bank/Deployment/frontend", "--api", api, "--token", "s3cret"]
        unnamed = await asyncio.to_thread(CliRunner().invoke, cli, words)
        named = await asyncio.to_thread(CliRunner().invoke, cli, [*words, "--action", '{"kind": "rollback"}'])
    assert unnamed.exit_code == 2
    assert "--action" in unnamed.output
    assert named.exit_code == 0
    assert [type(one) for one in stage.inbox()] == [ManualAction]


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "reason"),
    [
        ("GET", "/nowhere", None, {}, 404, "not-found"),
        ("GET", "/v1/incidents/none", None, {}, 404, "incident-unknown"),
        ("GET", "/v1/incidents?limit=0", None, {}, 422, "invalid-request"),
        ("PUT", "/v1/pause", None, {}, 405, "method-not-allowed"),
        ("POST", "/v1/pause", {"cause": "x"}, {}, 401, "not-authenticated"),
        ("POST", "/v1/pause", {"cause": "x"}, {"Authorization": "Bearer wrong"}, 401, "not-authenticated"),
        ("POST", "/v1/pause", {"cause": ""}, ANN, 422, "invalid-request"),
        ("POST", "/v1/pause", {}, ANN, 422, "invalid-request"),
        ("POST", "/v1/actions", {"workload": "x", "action": {"kind": "rollback"}}, ANN, 422, "workload-invalid"),
        ("POST", "/v1/actions", {"workload": "a/b/c", "action": {"kind": "rm"}}, ANN, 422, "invalid-request"),
        ("GET", "/v1/stream", None, {"Last-Event-ID": "evil"}, 422, "invalid-request"),
        ("POST", "/v1/silences", {}, {}, 401, "not-authenticated"),
        ("DELETE", "/v1/silences/none", None, {}, 401, "not-authenticated"),
        ("DELETE", "/v1/silences/none", None, ANN, 404, "silence-unknown"),
    ],
)
async def test_a_refusal_is_a_problem_document_with_a_named_reason(
    stage: Stage,
    method: str,
    path: str,
    body: dict[str, object] | None,
    headers: dict[str, str],
    status: int,
    reason: str,
) -> None:
    answer = await stage.client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["instance"] == path.partition("?")[0]
    assert stage.inbox() == []


DEEDS: dict[str, tuple[str, str, object, set[str]]] = {
    "approve": ("POST", "/v1/incidents/inc-1/approve", {"version": VERSION}, {"approver", "admin"}),
    "reject": ("POST", "/v1/incidents/inc-1/reject", {"version": VERSION}, {"approver", "admin"}),
    "pause": ("POST", "/v1/pause", {"cause": "disk full"}, {"operator", "admin"}),
    "resume": ("POST", "/v1/resume", {}, {"operator", "admin"}),
    "silence": ("POST", "/v1/silences", None, {"operator", "admin"}),
    "silence-end": ("DELETE", "/v1/silences/none", {}, {"operator", "admin"}),
    "act": (
        "POST",
        "/v1/actions",
        {"workload": "bank/Deployment/web", "action": {"kind": "rollback"}},
        {"admin"},
    ),
    "alert": ("POST", "/v1/alerts", {"version": "4", "status": "firing", "alerts": []}, {"alerts", "admin"}),
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("deed", DEEDS)
async def test_a_deed_takes_its_role_and_a_refusal_says_which(stage: Stage, deed: str, role: str) -> None:
    method, path, body, roles = DEEDS[deed]
    await stage.told(incident(), INCIDENTS)
    headers = {"Authorization": f"Bearer of-{role}"}
    asked = silencing() if deed == "silence" else body
    answer = await stage.client.request(method, path, json=asked, headers=headers)
    assert (answer.status_code == 403) == (role not in roles)
    if role not in roles:
        assert answer.json()["reason"] == "not-entitled"
        assert f"{role}-1 has {role}" in answer.json()["detail"]
        assert (stage.inbox(), stage.written(STOPS), stage.written(SIGNALS_PROMETHEUS)) == ([], [], [])


def webhook(*names: str, **changed: object) -> dict[str, object]:
    """Return what Alertmanager posts."""
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": name, "namespace": "bank", "deployment": "frontend"},
            "annotations": {},
            "startsAt": "2029-12-31T23:59:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "fingerprint": name.lower(),
            **changed,
        }
        for name in names
    ]
    return {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "sre-agent", "alerts": alerts}


async def test_alerts_are_signals_by_the_time_they_are_accepted_and_the_same_ones_when_told_again(stage: Stage) -> None:
    for _ in range(2):
        answer = await stage.client.post("/v1/alerts", json=webhook("Slow", "Down"), headers=ANN)
        assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    signals = [one for one in stage.written(SIGNALS_PROMETHEUS) if isinstance(one, AlertSignal)]
    assert {(one.alertname, one.workload, one.cluster) for one in signals} == {
        ("Slow", FRONTEND, "test"),
        ("Down", FRONTEND, "test"),
    }
    assert (len(signals), len({one.id for one in signals})) == (4, 2)


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason", "field"),
    [
        (webhook("Slow"), {}, 401, "not-authenticated", None),
        ({**webhook("Slow"), "version": "5"}, ANN, 422, "invalid-request", "body.version"),
        (webhook("Slow", startsAt="soon"), ANN, 422, "invalid-request", "body.alerts.0.startsAt"),
        (webhook("Slow", startsAt="2030-01-01T00:06:00Z"), ANN, 422, "invalid-request", "body.alerts.0.startsAt"),
        (webhook(*["Slow"] * 501), ANN, 422, "invalid-request", "body.alerts"),
        (webhook("Slow", generatorURL="x" * (512 << 10)), ANN, 413, "request-too-large", None),
        (["Slow"], ANN, 422, "invalid-request", "body"),
    ],
)
async def test_a_webhook_of_another_form_is_refused_by_the_field(
    stage: Stage, body: object, headers: dict[str, str], status: int, reason: str, field: str | None
) -> None:
    answer = await stage.client.post("/v1/alerts", json=body, headers=headers)
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)
    assert answer.headers["content-type"] == "application/problem+json"
    assert [fault["field"] for fault in answer.json()["faults"]] == ([field] if field else [])
    assert stage.written(SIGNALS_PROMETHEUS) == []


async def test_a_request_that_is_wrong_everywhere_is_answered_in_few_words(stage: Stage) -> None:
    answer = await stage.client.post("/v1/alerts", json=webhook(*["Slow"] * 400, status="?"), headers=ANN)
    assert answer.status_code == 422
    assert len(answer.json()["faults"]) == 20


async def test_while_the_broker_is_away_alertmanager_is_told_to_come_again(stage: Stage) -> None:
    stage.broker.away = True
    away = await stage.client.post("/v1/alerts", json=webhook("Slow"), headers=ANN)
    stage.broker.away = False
    assert (away.status_code, away.json()["reason"]) == (503, "dependency-unavailable")
    assert (await stage.client.post("/v1/alerts", json=webhook("Slow"), headers=ANN)).status_code == 202
    assert len(stage.written(SIGNALS_PROMETHEUS)) == 1


async def test_a_store_that_is_away_is_a_named_problem_and_pausing_works(stage: Stage) -> None:
    async with connect("redis://127.0.0.1:9/0") as nowhere:
        questions = Questions(ReadModel(nowhere), {})
        publisher, clock = stage.broker.publisher("api"), FakeClock(NOW)
        app = build_app(
            questions,
            Interventions(ReadModel(nowhere), publisher, clock),
            silences=Silences(ReadModel(nowhere), publisher, clock),
            alerts=Alerts(publisher, cluster="test", clock=clock),
            holders=[holder_of("ann", "s3cret")],
            max_streams=1,
            is_stopping=lambda: False,
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://api") as client:
            answer = await client.get("/v1/incidents")
            paused = await client.post("/v1/pause", json={"cause": "disk full"}, headers=ANN)
    assert (answer.status_code, answer.json()["reason"]) == (503, "dependency-unavailable")
    assert paused.status_code == 202
    assert [one.holds for one in stage.written(STOPS) if isinstance(one, Stop)] == [True]
    assert [type(one) for one in stage.inbox()] == [Pause]


async def test_a_service_that_does_not_answer_is_shown_as_not_ready(stage: Stage) -> None:
    status = (await stage.client.get("/v1/status")).json()
    assert status["ready"] is False
    assert status["services"][0]["reason"].startswith("does not answer")


async def test_the_live_stream_goes_on_where_a_reader_was(stage: Stage) -> None:
    await stage.told(decision(1), DECISIONS)
    first = await stage.model.newest()
    await stage.told(decision(2), DECISIONS)
    lines = stage.model.follow(first)
    async with asyncio.timeout(5):
        line = await anext(lines)
    assert line is not None
    assert json.loads(line.body)["id"] == "dec-2"


async def test_the_page_lets_a_browser_load_nothing_from_elsewhere(stage: Stage) -> None:
    answer = await stage.client.get("/")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await stage.client.get("/page.js")).status_code == 200


async def test_readers_beyond_the_limit_are_refused_and_a_place_is_given_back(stage: Stage) -> None:
    streams = Streams(1)
    streams.enter()
    with pytest.raises(ProblemError, match="limit"):
        streams.enter()
    streams.leave()
    streams.enter()


async def test_a_stream_over_http_tells_events_and_gives_its_place_back_when_the_reader_leaves(stage: Stage) -> None:
    async with served(stage.app) as url, httpx.AsyncClient(base_url=url, timeout=10) as client:
        for number in range(3):  # more readers than the limit of one, one after the other
            first = await stage.model.newest()
            await stage.told(decision(number), DECISIONS)
            async with client.stream("GET", "/v1/stream", headers={"Last-Event-ID": first}) as stream:
                assert stream.status_code == 200
                lines = stream.aiter_lines()
                told = [await anext(lines) for _ in range(3)]
                refused = await client.get("/v1/stream")
            assert any(f"dec-{number}" in line for line in told)
            assert (refused.status_code, refused.json()["reason"]) == (503, "too-many-streams")
            await until(lambda: is_free(client))
