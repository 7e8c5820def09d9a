"""Rules on alerts: firing goes without saying, one firing opens one incident, and a replay decides the same."""

from datetime import timedelta
from typing import Any

import pytest

from services.decider.adapters.replaying import differences, replay_inbox
from services.decider.core.faults import PlaybookError
from services.decider.core.matching import index_rules, match
from services.decider.core.playbook import load_playbook
from services.decider.handlers import InForce, Matching
from shared.contracts.codec import decode
from shared.contracts.inbox import Finding, Outcome
from shared.contracts.incidents import Reason
from shared.contracts.signals import AlertSignal, AlertStatus
from shared.contracts.topics import DECISIONS, INBOX, SIGNALS_PROMETHEUS
from shared.infra.memory import MemoryBroker
from tests.fakes.clock import FakeClock
from tests.unit.services.decider.core.build import (
    FRONTEND,
    HEAD,
    History,
    activated,
    at,
    finding_on,
    health,
    history,
    result,
)

PLAYBOOK = (
    HEAD
    + """\
    - name: slow
      signal: alert
      where: {alertname: HighLatency}
      when: labels["team"] == "payments"
      cooldown: 1m
      ladder: [{action: rollback, verify: {healthy_for: 30s, within: 2m}}, {action: escalate}]
    - name: over
      signal: alert
      where: {status: resolved}
      ladder: [{action: escalate}]
    - name: twice
      signal: alert
      where: {alertname: Flaky}
      window: {count: 2, within: 1h}
      ladder: [{action: escalate}]
"""
)
RULE = """\
    - name: one
      signal: alert
      when: >-
        {when}
      ladder: [{{action: escalate}}]
"""
INDEX = index_rules(load_playbook(PLAYBOOK, file="test"))


def alert(*, seconds: float = 0, name: str = "HighLatency", status: str = "firing", **fields: Any) -> AlertSignal:
    known: dict[str, Any] = {
        "id": f"sig-{name}-{status}-{seconds}",
        "at": at(seconds),
        "cluster": "test",
        "workload": FRONTEND,
        "alertname": name,
        "status": AlertStatus(status),
        "severity": "critical",
        "labels": {"team": "payments"},
        "fingerprint": name,
        "starts_at": at(seconds),
    }
    return AlertSignal.model_validate({**known, **fields})


def met(signal: AlertSignal) -> list[str]:
    return [one.rule for one in match(INDEX, signal) if isinstance(one, Finding)]


def test_a_rule_that_names_no_status_means_alerts_that_fire() -> None:
    assert met(alert()) == ["slow"]
    assert met(alert(status="resolved")) == ["over"]


def test_labels_can_be_asked_for_and_one_that_is_missing_is_not_met() -> None:
    assert met(alert(labels={"team": "loans"})) == []
    assert met(alert(labels={})) == []


@pytest.mark.parametrize("when", ['status == "resolved"', '"a" in labels && (status != "firing")'])
def test_a_condition_on_the_status_that_could_never_hold_is_named_when_it_is_loaded(when: str) -> None:
    with pytest.raises(PlaybookError, match="says so in `where`; without it, it is 'firing'"):
        load_playbook(HEAD + RULE.format(when=when), file="test")


@pytest.mark.parametrize("when", ['labels["status"] == "bad"', "labels.status == 'bad'", 'summary == "status"'])
def test_a_label_or_a_text_of_that_name_is_another_matter(when: str) -> None:
    load_playbook(HEAD + RULE.format(when=when), file="test")


@pytest.mark.parametrize("action", ["restart-pod", "set-memory, cap: 1Gi"])
def test_an_alert_names_no_pod_and_no_container(action: str) -> None:
    rule = f"    - {{name: r, signal: alert, ladder: [{{action: {action}}}]}}\n"
    with pytest.raises(PlaybookError, match="acts on what the signal names"):
        load_playbook(HEAD + rule, file="test")


def told(story: History, signal: AlertSignal, *, seconds: float) -> None:
    for rule in met(signal):
        story.take(finding_on(signal, rule), seconds=seconds)


def test_one_firing_told_again_and_again_counts_once() -> None:
    story = history(PLAYBOOK)
    for seconds in (1, 300, 600):
        told(story, alert(name="Flaky"), seconds=seconds)
    assert story.reasons == [Reason.WINDOW_NOT_REACHED] * 3
    told(story, alert(name="Flaky", seconds=900), seconds=901)
    assert Reason.INCIDENT_OPENED in story.reasons


def test_an_alert_that_still_fires_is_a_repeated_finding_and_one_firing_opens_one_incident() -> None:
    story = history(PLAYBOOK)
    told(story, alert(), seconds=30)
    told(story, alert(), seconds=60)
    assert story.reasons[-1] is Reason.REPEATED_FINDING
    story.take(result(story.commands[0], seconds=61, outcome=Outcome.APPLIED), seconds=61)
    story.take(health(healthy=True, seconds=62), seconds=62)
    story.wake()
    assert story.reasons[-1] is Reason.VERIFIED
    told(story, alert(), seconds=4_000)
    assert story.reasons[-1] is Reason.STALE_FINDING
    told(story, alert(seconds=5_000), seconds=5_030)
    assert story.incident.closed_at is None
    assert len({command.id for command in story.commands}) == len(story.commands) == 2


def test_one_firing_opens_one_incident_also_where_its_clock_is_ahead() -> None:
    story = history(PLAYBOOK)
    ahead = alert(seconds=9_999)
    told(story, ahead, seconds=1)
    story.take(result(story.commands[0], seconds=2, outcome=Outcome.REFUSED), seconds=2)
    told(story, ahead, seconds=1_000)
    assert story.reasons[-1] is Reason.STALE_FINDING
    assert len(story.commands) == 1


async def test_a_replay_matches_alerts_again_and_decides_the_same() -> None:
    clock = FakeClock(at(0))
    broker, in_force = MemoryBroker(clock), InForce()
    publisher = broker.publisher("test")
    await publisher.broadcast(activated(PLAYBOOK), topic=INBOX)
    in_force.set(load_playbook(PLAYBOOK, file="test"))
    matching = Matching(publisher, in_force)
    for signal in (alert(), alert(), alert(name="Flaky", seconds=5), alert(status="resolved", seconds=9)):
        placed = await publisher.publish(signal, topic=SIGNALS_PROMETHEUS)
        record = broker.log(SIGNALS_PROMETHEUS.name, placed.partition)[placed.offset]
        await matching.handle(decode(record))
        clock.moment += timedelta(seconds=1)
    replay = await replay_inbox(broker.archive())
    for partition, decision in replay.decisions():
        await publisher.publish(decision, topic=DECISIONS, partition=partition)
    assert len(replay.findings) == 3
    assert await differences(broker.archive(), replay) == []
