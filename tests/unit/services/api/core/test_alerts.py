"""Alertmanager's webhook to signals: whose they are, which are the same, and that no payload makes it stumble."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.api.core.alerts import AlertWords, Notification, signal_of
from shared.contracts.codec import Record, decode, encode
from shared.contracts.labels import workload_of
from shared.contracts.signals import AlertSignal
from shared.contracts.topics import SIGNALS_PROMETHEUS
from shared.contracts.workloads import WorkloadRef
from tests.json_documents import spoiled

NEVER = "0001-01-01T00:00:00Z"


def alert(**changed: Any) -> dict[str, Any]:
    """Return an alert as Alertmanager posts it."""
    return {
        "status": "firing",
        "labels": {"alertname": "HighLatency", "namespace": "bank", "deployment": "frontend", "severity": "critical"},
        "annotations": {"summary": "The frontend is slow", "description": "p99 above 1 s"},
        "startsAt": "2030-01-01T00:00:00.123456789Z",
        "endsAt": NEVER,
        "generatorURL": "http://prometheus:9090/graph?g0.expr=up",
        "fingerprint": "1a30ba71cca2921f",
        **changed,
    }


def webhook(*alerts: dict[str, Any]) -> dict[str, Any]:
    """Return a whole notification."""
    return {
        "version": "4",
        "groupKey": '{}:{alertname="HighLatency"}',
        "truncatedAlerts": 0,
        "status": "firing",
        "receiver": "sre-agent",
        "groupLabels": {"alertname": "HighLatency"},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager:9093",
        "alerts": list(alerts),
    }


def signal(**changed: Any) -> AlertSignal:
    return signal_of(AlertWords.model_validate(alert(**changed)), cluster="c")


def test_an_alert_tells_its_workload_name_severity_and_summary() -> None:
    told = signal()
    assert told.workload == WorkloadRef(kind="Deployment", namespace="bank", name="frontend")
    assert (told.alertname, told.status, told.severity) == ("HighLatency", "firing", "critical")
    assert (told.summary, told.labels["severity"]) == ("The frontend is slow", "critical")
    assert told.at == told.starts_at


@pytest.mark.parametrize(
    ("labels", "key"),
    [
        ({"namespace": "bank", "statefulset": "db", "pod": "db-0"}, "bank/StatefulSet/db"),
        ({"namespace": "bank", "job_name": "backup"}, "bank/Job/backup"),
        ({"namespace": "bank", "pod": "web-1", "node": "node-1"}, "bank/Pod/web-1"),
        ({"node": "node-1"}, "-/Node/node-1"),
        ({"alertname": "Watchdog"}, "-/Alert/Watchdog"),
        ({"alertname": "QuotaFull", "namespace": "bank"}, "bank/Alert/QuotaFull"),
        ({"alertname": "A/B", "namespace": "x/y"}, "-/Alert/1a30ba71cca2921f"),
        ({}, "-/Alert/1a30ba71cca2921f"),
    ],
)
def test_an_alert_that_names_no_workload_stands_for_itself(labels: dict[str, str], key: str) -> None:
    assert signal(labels=labels).key == key


def test_a_repetition_or_retry_is_the_same_signal_byte_for_byte() -> None:
    again = alert(startsAt="2030-01-01T01:00:00.123456789+01:00", labels=dict(reversed(alert()["labels"].items())))
    assert signal_of(AlertWords.model_validate(again), cluster="c").model_dump_json() == signal().model_dump_json()


def test_an_end_and_a_new_beginning_are_signals_of_their_own() -> None:
    ended = signal(status="resolved", endsAt="2030-01-01T00:05:00Z")
    ended_later = signal(status="resolved", endsAt="2030-01-01T00:06:00Z")
    begun_again = signal(startsAt="2030-01-01T00:10:00Z")
    assert len({signal().id, ended.id, ended_later.id, begun_again.id}) == 4
    assert ended.at.isoformat() == "2030-01-01T00:05:00+00:00"


def test_labels_without_a_fingerprint_have_one_that_is_theirs() -> None:
    first, other = signal(fingerprint=""), signal(fingerprint="", labels={"alertname": "Other"})
    assert first.id == signal(fingerprint="").id
    assert first.fingerprint != other.fingerprint


def test_what_is_long_is_cut_and_what_is_many_is_bounded() -> None:
    told = signal(labels={f"label-{n:04}": "x" * 9_999 for n in range(500)}, annotations={"summary": "y" * 9_999})
    assert (len(told.labels), len(told.labels["label-0000"]), len(told.summary)) == (64, 1_000, 1_000)


@pytest.mark.parametrize(
    ("changed", "where"),
    [
        ({"version": "3"}, "version"),
        ({"alerts": {}}, "alerts"),
        ({"alerts": [alert()] * 501}, "alerts"),
        ({"alerts": [alert(), alert(startsAt="yesterday")]}, "alerts.1.startsAt"),
        ({"alerts": [alert(startsAt="0001-01-01T00:00:00+23:59")]}, "alerts.0.startsAt"),
        ({"alerts": [alert(status="pending")]}, "alerts.0.status"),
        ({"alerts": [alert(labels={"a": 1})]}, "alerts.0.labels.a"),
        ({"alerts": [alert(fingerprint="../x")]}, "alerts.0.fingerprint"),
    ],
)
def test_a_payload_of_another_form_is_refused_by_the_field(changed: dict[str, Any], where: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Notification.model_validate({**webhook(alert()), **changed})
    assert ".".join(map(str, refused.value.errors()[0]["loc"])) == where


@given(spoiled(webhook(alert(), alert(status="resolved", endsAt="2030-01-01T00:05:00Z"))))
def test_any_payload_gives_signals_that_can_be_read_again_or_is_refused(payload: Any) -> None:
    try:
        told = Notification.model_validate(payload)
    except ValidationError:
        return
    for one in told.alerts:
        first = signal_of(one, cluster="c")
        out = encode(first, topic=SIGNALS_PROMETHEUS, source="api")
        assert decode(Record(out.topic, 0, 0, 0, out.key, out.value, out.headers)).message == first
        assert WorkloadRef.parse(first.key) == first.workload


@given(st.dictionaries(st.sampled_from(["namespace", "deployment", "pod", "node", "job_name"]), st.text(max_size=4)))
def test_whatever_labels_say_the_workload_has_a_key_that_can_be_read_again(labels: dict[str, str]) -> None:
    found = workload_of(labels)
    assert found is None or WorkloadRef.parse(found.key) == found
