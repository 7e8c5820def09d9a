"""Every message that a topic declares: complete, read as written, refused clearly when it is broken."""

import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.contracts.codec import Outgoing, Record, begun_trace, body_of, decode, encode, type_of
from shared.contracts.inbox import Finding, Pause, Resume
from shared.contracts.incidents import Incident
from shared.contracts.model import Message
from shared.contracts.modes import Mode, strictest
from shared.contracts.signals import (
    SIGNALS,
    ContainerSignal,
    EventSignal,
    NodeSignal,
    PodSignal,
    WorkloadSignal,
    fact_types,
)
from shared.contracts.topics import INBOX, SIGNALS_KUBERNETES, TOPICS
from shared.contracts.workloads import WorkloadRef
from shared.kernel.errors import PoisonError
from shared.kernel.ids import derive

NOW = datetime(2030, 1, 1, tzinfo=UTC)
NAMES = st.text(alphabet="abc-/.", min_size=1, max_size=6)


def record(out: Outgoing, **changed: object) -> Record:
    fields = {"topic": out.topic, "key": out.key, "value": out.value, "headers": out.headers} | changed
    return Record(partition=0, offset=7, timestamp_ms=0, **fields)  # type: ignore[arg-type] - a test's own fields


@pytest.mark.parametrize("model", [model for topic in TOPICS for model in topic.messages], ids=lambda model: model.TYPE)
def test_each_declared_model_is_complete(model: type[Message]) -> None:
    model.model_rebuild()  # else it is built when it is first used
    assert model.__pydantic_complete__
    assert model.model_json_schema()["properties"]["id"]


def test_types_and_topics_have_unique_names() -> None:
    names = [topic.name for topic in TOPICS]
    assert len(set(names)) == len(names)
    types = {model.TYPE: model for topic in TOPICS for model in topic.messages}
    assert all(types[model.TYPE] is model for topic in TOPICS for model in topic.messages)


@given(by=st.text(max_size=20), cause=st.text(max_size=20))
def test_what_is_written_is_read_again_byte_for_byte(by: str, cause: str) -> None:
    pause = Pause(id="pause-1", at=NOW, by=by, cause=cause)
    out = encode(pause, topic=INBOX, source="api", traceparent="00-ab-cd-01")
    envelope = decode(record(out))
    assert envelope.message == pause
    assert body_of(envelope.message) == out.value
    assert (envelope.source, envelope.traceparent) == ("/sre-agent/api", "00-ab-cd-01")


def test_a_message_without_a_cause_begins_a_trace_that_is_its_own_and_the_same_each_time() -> None:
    resume = Resume(id="resume-1", at=NOW, by="ann")
    traces = [decode(record(encode(resume, topic=INBOX, source="api"))).traceparent for _ in range(2)]
    other = encode(Resume(id="resume-2", at=NOW, by="ann"), topic=INBOX, source="api")
    assert traces[0] == traces[1] == begun_trace("resume-1")
    assert decode(record(other)).traceparent != traces[0]
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", traces[0] or "")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"headers": ()}, "'ce_type' is missing"),
        ({"value": b"{"}, "Invalid JSON"),
        ({"value": b"{}"}, "Field required"),
        ({"value": None}, "has no body"),
        ({"topic": SIGNALS_KUBERNETES.name}, "does not belong on"),
    ],
)
def test_a_broken_record_is_poison_that_says_what_was_expected(changed: dict[str, object], told: str) -> None:
    out = encode(Resume(id="resume-1", at=NOW, by="ann"), topic=INBOX, source="api")
    with pytest.raises(PoisonError, match=told):
        decode(record(out, **changed))


@pytest.mark.parametrize("model", [PodSignal, ContainerSignal, WorkloadSignal, NodeSignal])
def test_a_signal_from_before_there_were_labels_has_none(model: type[PodSignal]) -> None:
    workload = WorkloadRef(kind="Deployment", namespace="bank", name="web")
    told = {"id": "s", "at": NOW, "cluster": "c", "workload": workload, "object": {"kind": "Pod", "name": "web-1"}}
    said = {"phase": "Running", "container": "app", "state": "waiting", "healthy": True, "ready": True}
    assert model.model_validate(told | said).labels == {}


@pytest.mark.parametrize("name", ["ce_type", "ce_id", "ce_source"])
def test_a_record_without_an_attribute_that_is_needed_is_poison(name: str) -> None:
    out = encode(Resume(id="resume-1", at=NOW, by="ann"), topic=INBOX, source="api")
    left = tuple(header for header in out.headers if header[0] != name)
    with pytest.raises(PoisonError, match=f"'{name}' is missing"):
        decode(record(out, headers=left))


def test_an_incident_that_was_written_before_it_carried_more_is_read() -> None:
    before = {
        "id": "inc-1",
        "at": "2030-01-01T00:00:00Z",
        "workload": {"kind": "Deployment", "namespace": "bank", "name": "frontend"},
        "rule": "crash",
        "playbook": "hash",
        "severity": "warning",
        "mode": "live",
        "summary": "it crashes",
        "phase": "waiting",
        "reason": "paused",
        "signal_at": "2030-01-01T00:00:00Z",
        "opened_at": "2030-01-01T00:00:00Z",
    }
    read = Incident.model_validate(before)
    assert (read.owner, read.runbook, read.labels, read.notes) == ("", "", {}, ())


def test_a_header_without_a_value_reads_as_an_empty_text() -> None:
    out = encode(Resume(id="resume-1", at=NOW, by="ann"), topic=INBOX, source="api")
    emptied = {"ce_source": None, "traceparent": None}
    envelope = decode(record(out, headers=tuple((name, emptied.get(name, value)) for name, value in out.headers)))
    assert (envelope.source, envelope.traceparent) == ("", "")


def test_a_message_of_a_newer_version_is_poison_and_not_guessed_at() -> None:
    out = encode(Resume(id="resume-1", at=NOW, by="ann"), topic=INBOX, source="api")
    headers = tuple(
        (name, b"dev.sre-agent.control.resume.v9" if name == "ce_type" else value) for name, value in out.headers
    )
    with pytest.raises(PoisonError, match="newer than this version reads"):
        decode(record(out, headers=headers))
    assert type_of(Resume) == "dev.sre-agent.control.resume.v1"


@given(st.lists(st.sampled_from(list(Mode)), min_size=1))
def test_the_strictest_mode_is_never_laxer_than_any(modes: list[Mode]) -> None:
    assert all(strictest(*modes).strictness >= mode.strictness for mode in modes)


@given(NAMES, NAMES, NAMES)
def test_a_workloads_key_tells_the_workload(namespace: str, kind: str, name: str) -> None:
    ref = WorkloadRef.named(kind, name, namespace=namespace)
    if ref is not None:
        assert WorkloadRef.parse(ref.key) == ref
        return
    with pytest.raises(ValidationError):
        WorkloadRef(namespace=namespace, kind=kind, name=name)
    with pytest.raises(ValueError, match="namespace/kind/name"):
        WorkloadRef.parse(f"{namespace}/{kind}/{name}")


def test_a_moment_that_does_not_exist_in_utc_is_poison() -> None:
    out = encode(Resume(id="resume-1", at=NOW, by="ann"), topic=INBOX, source="api")
    body = out.value.replace(b"2030-01-01T00:00:00Z", b"0001-01-01T00:00:00+23:59")
    with pytest.raises(PoisonError, match="exists in UTC"):
        decode(record(out, value=body))


CAUSES = st.lists(st.text(alphabet="ab/", min_size=1, max_size=4), max_size=4)


@given(CAUSES, CAUSES)
def test_ids_are_the_same_for_the_same_causes_alone(first: list[str], second: list[str]) -> None:
    assert (derive("id", *first) == derive("id", *second)) == (first == second)


@pytest.mark.parametrize("model", SIGNALS, ids=lambda model: model.TYPE)
def test_each_kind_of_signal_has_facts_for_conditions(model: type[Message]) -> None:
    kind = model.model_fields["kind"].default
    assert {"namespace", "workload", "cluster"} <= set(fact_types(kind))


def test_an_event_of_the_first_version_is_still_read_also_within_a_finding() -> None:
    workload = {"kind": "Deployment", "namespace": "bank", "name": "web"}
    event = {
        "id": "signal-1",
        "at": NOW.isoformat(),
        "cluster": "c",
        "workload": workload,
        "kind": "event",
        "object": {"kind": "Pod", "namespace": "bank", "name": "web-1"},
        "reason": "Unhealthy",
        "type": "Warning",
    }
    finding = {"id": "f", "at": NOW.isoformat(), "workload": workload, "rule": "r", "playbook": "p", "signal": event}
    headers = (("ce_id", b"signal-1"), ("ce_type", b"dev.sre-agent.signal.event.v1"), ("ce_source", b"/x"))
    old = Record(SIGNALS_KUBERNETES.name, 0, 0, 0, b"k", json.dumps(event).encode(), headers)
    read = decode(old).message
    assert isinstance(read, EventSignal)
    nested = Finding.model_validate(finding).signal
    assert isinstance(nested, EventSignal)
    assert (read.event_type, nested.event_type) == ("Warning", "Warning")
