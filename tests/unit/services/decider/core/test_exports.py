"""Exports: what is written is read again byte for byte, and a file that is none says where and what was expected."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.decider.core.exports import Export, ExportError, export_of, lines_of, read_export, redacted
from shared.contracts.codec import Record, decode, encode
from shared.contracts.evidence import ContainerLog, Evidence
from shared.contracts.topics import EVIDENCE, INBOX
from shared.contracts.workloads import ObjectRef
from shared.kernel.clock import to_millis
from tests.unit.services.decider.core.build import FRONTEND, START, activated, finding

TEXTS = st.text(max_size=20)


def records() -> list[Record]:
    entries = [activated(), finding(seconds=1), finding(seconds=2, message="日本 \u2028 \x7f")]
    return [
        Record(INBOX.name, 2, 10 + place, to_millis(START) + place, out.key, out.value, out.headers)
        for place, out in enumerate(encode(entry, topic=INBOX, source="test") for entry in entries)
    ]


def export(*found: Record) -> Export:
    return export_of(found, incident="inc-1", workload=FRONTEND, begins=0, redactions=0)


def lines() -> list[str]:
    return list(lines_of(export(*records())))


def told(changed: list[str]) -> list[str]:
    with pytest.raises(ExportError) as refused:
        read_export(changed, file="x.jsonl")
    return [str(fault) for fault in refused.value.faults]


def test_what_is_written_is_read_again_with_its_places_times_and_bytes() -> None:
    assert read_export(lines(), file="x").records == records()
    assert all(len(line.split("\n")) == 1 for line in lines())


@settings(deadline=None)
@given(message=TEXTS, key=st.binary(max_size=6), header=st.binary(max_size=6))
def test_any_bytes_are_kept(message: str, key: bytes, header: bytes) -> None:
    out = encode(finding(message=message), topic=INBOX, source="test")
    record = Record(INBOX.name, 0, 0, 0, key, out.value, (*out.headers, ("other", header)))
    written = [line.encode().decode() for line in lines_of(export(record))]
    assert read_export(written, file="x").records == [record]


def test_a_body_that_is_not_written_as_ours_is_kept_as_it_is() -> None:
    out = encode(finding(), topic=INBOX, source="test")
    spaced = json.dumps(json.loads(out.value), indent=1).encode()
    record = Record(INBOX.name, 0, 0, 0, out.key, spaced, out.headers)
    written = list(lines_of(export(record)))
    assert "value_base64" in written[1]
    assert read_export(written, file="x").records == [record]


def test_evidence_is_redacted_and_still_a_message() -> None:
    evidence = Evidence(
        id="evidence-4111111111111111",
        at=START,
        workload=FRONTEND,
        incident="inc-1",
        command="cmd-1",
        target=ObjectRef(kind="Pod", name="p"),
        logs=(ContainerLog(pod="p", container="c", previous=False, lines=("token=abcdefgh", "fine")),),
        objects=({"password": "hunter2", "spec": {"image": "x"}},),
    )
    out = encode(evidence, topic=EVIDENCE, source="test")
    record, count = redacted(Record(EVIDENCE.name, 0, 0, 0, out.key, out.value, out.headers))
    cleaned = decode(record).message
    assert isinstance(cleaned, Evidence)
    assert (count, cleaned.id, cleaned.logs[0].lines[1]) == (2, evidence.id, "fine")
    assert b"abcdefgh" not in (record.value or b"")
    assert b"hunter2" not in (record.value or b"")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "x.jsonl:3:1: expected one JSON object a line: Expecting value"),
        ('{"topic": "sre.inbox",}', "x.jsonl:3:23: expected one JSON object a line: "),
        ("[1]", "x.jsonl:3:1: expected one JSON object a line, found '[1]'"),
        (
            "[" * 100_000,
            "x.jsonl:3:1: expected JSON that can be read; its numbers are too long, or it is nested too deep",
        ),
        (
            "9" * 10_000,
            "x.jsonl:3:1: expected JSON that can be read; its numbers are too long, or it is nested too deep",
        ),
        ("{}", "x.jsonl:3:1: topic: Field required"),
    ],
)
def test_a_line_that_is_no_record_is_named_with_its_place(line: str, fault: str) -> None:
    first, second, _, *rest = lines()
    assert told([first, second, line, *rest])[0].startswith(fault)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"offset": 10}, "offset: expected an offset after 10 of sre.inbox/2, found 10"),
        ({"partition": 1}, "partition: expected partition 2 of the inbox, found 1"),
        ({"timestamp": 10**18}, "timestamp: Input should be less than or equal to 253402300799999"),
        ({"topic": "sre.other"}, "expected a message of its topic: ce_type 'dev.sre-agent.finding.v1' does not belong"),
        ({"body": {"id": "x"}}, "expected a message of its topic: dev.sre-agent.finding.v1: at: Field required"),
        ({"body": float("nan")}, "expected a record's bytes: "),
        ({"value_base64": "?"}, "expected a record's bytes: "),
        ({"vlaue": 1}, "vlaue: Extra inputs are not permitted"),
    ],
)
def test_a_record_that_was_changed_is_named_with_what_was_expected(changed: dict[str, object], fault: str) -> None:
    first, second, third, *rest = lines()
    assert told([first, second, json.dumps(json.loads(third) | changed), *rest])[0].startswith(f"x.jsonl:3:1: {fault}")


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("", "x.jsonl:1:1: expected one JSON object a line: Expecting value"),
        (
            '{"in": {}}',
            'x.jsonl:1:1: expected a header: {"sre_agent_export": 1, …} (`sre-agent export',
        ),
        ('{"sre_agent_export": 2}', "x.jsonl:1:1: expected an export of version 1, found '2'"),
        ('{"sre_agent_export": 1}', "x.jsonl:1:1: incident: Field required"),
    ],
)
def test_a_file_without_a_header_is_no_export(line: str, fault: str) -> None:
    assert told([line, *lines()[1:]])[0].startswith(fault)
    assert told([])[0].startswith("x.jsonl:1:1: expected one JSON object a line")


def test_a_workload_that_is_none_is_named() -> None:
    header = json.loads(lines()[0]) | {"workload": "frontend"}
    assert "workload: 'frontend' is not a workload key" in told([json.dumps(header), *lines()[1:]])[0]


def test_a_file_that_was_cut_is_not_taken_for_whole() -> None:
    assert told(lines()[:-1]) == ["x.jsonl:3:1: expected 3 records, found 2"]


def test_faults_are_told_together_and_not_without_end() -> None:
    assert len(told([lines()[0], *["{}"] * 3])) == 3
    assert len(told([lines()[0], *["{}"] * 300])) == 20
