"""A signature covers all of a record: what is changed in one byte, copied elsewhere or signed by another is refused."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions import RestartPod, SetMemory
from shared.contracts.codec import Headers, Outgoing, Record, decode, encode
from shared.contracts.commands import Command
from shared.contracts.inbox import Resume
from shared.contracts.incidents import Severity
from shared.contracts.signatures import (
    CLUSTER,
    KEY_ID,
    SIGNATURE,
    Doubt,
    Seal,
    command_seal,
    covered_text,
    doubt_about,
    record_seal,
)
from shared.contracts.topics import AUDIT, COMMANDS, INBOX, SPENDINGS, TOPICS, Topic
from shared.contracts.workloads import WorkloadRef
from tests.keys import KEY, OTHER_KEY, checks_of

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SEAL = command_seal(KEY, "production")
KEYS = checks_of([KEY.public])
COMMAND = Command(
    id="command-1",
    at=NOW,
    workload=WorkloadRef(kind="Deployment", namespace="bank", name="web"),
    incident="incident-1",
    rule="crash-loop",
    playbook="hash",
    step=0,
    attempt=1,
    action=RestartPod(pod="web-1", uid="uid-1"),
    dry_run=True,
    protected_labels={"tier": ("database",)},
    expires_at=NOW + timedelta(seconds=60),
    requested_by="rule",
)
OTHER_BODIES: dict[str, dict[str, Any]] = {
    "id": {"id": "command-2"},
    "at": {"at": NOW + timedelta(hours=1)},
    "workload": {"workload": WorkloadRef(kind="Deployment", namespace="bank", name="ledger")},
    "incident": {"incident": "incident-2"},
    "rule": {"rule": "other"},
    "playbook": {"playbook": "other"},
    "step": {"step": 1},
    "attempt": {"attempt": 2},
    "action": {"action": SetMemory(container="server", from_bytes=1, to_bytes=2)},
    "dry_run": {"dry_run": False},
    "reverts": {"reverts": "command-0"},
    "protected_labels": {"protected_labels": {}},
    "protected_namespaces": {"protected_namespaces": ("shop",)},
    "expires_at": {"expires_at": NOW + timedelta(hours=1)},
    "requested_by": {"requested_by": "ann"},
    "approved_by": {"approved_by": "ann"},
    "severity": {"severity": Severity.CRITICAL},
}


def sealed(command: Command = COMMAND, seal: Seal = SEAL) -> Record:
    return read(seal(encode(command, topic=COMMANDS, source="decider")))


def read(out: Outgoing) -> Record:
    return Record(out.topic, 3, 7, 0, out.key, out.value, out.headers)


def doubt(record: Record) -> Doubt | None:
    return doubt_about(record, KEYS, cluster="production")


def with_header(record: Record, name: str, value: bytes | None) -> Record:
    return record._replace(headers=tuple((one, value if one == name else told) for one, told in record.headers))


def test_what_the_decider_signed_is_believed_wherever_it_lies() -> None:
    record = sealed()
    assert doubt(record) is None
    assert doubt(record._replace(partition=0, offset=99, timestamp_ms=1)) is None
    assert decode(record).message == COMMAND


def test_a_signature_changes_nothing_but_headers_and_is_the_same_each_time() -> None:
    plain = encode(COMMAND, topic=COMMANDS, source="decider")
    once, again = SEAL(plain), SEAL(plain)
    assert once == again
    assert (once.key, once.value, once.headers[: len(plain.headers)]) == (plain.key, plain.value, plain.headers)
    assert [name for name, _ in once.headers[len(plain.headers) :]] == [CLUSTER, KEY_ID, SIGNATURE]


@pytest.mark.parametrize("topic", [topic for topic in TOPICS if topic is not COMMANDS], ids=lambda topic: topic.name)
def test_what_is_no_command_is_left_as_it_is(topic: Topic) -> None:
    out = replace(encode(Resume(id="r", at=NOW, by="ann"), topic=INBOX, source="api"), topic=topic.name)
    assert SEAL(out) is out


def test_each_field_of_a_command_has_a_case() -> None:
    assert set(OTHER_BODIES) == set(Command.model_fields)


@pytest.mark.parametrize("field", sorted(OTHER_BODIES))
def test_another_body_under_the_same_signature_is_refused(field: str) -> None:
    other = COMMAND.model_copy(update=OTHER_BODIES[field])
    record = sealed()._replace(value=encode(other, topic=COMMANDS, source="decider").value)
    assert record.value != sealed().value
    assert doubt(record) is Doubt.SIGNATURE_WRONG


@pytest.mark.parametrize("name", [name for name, _ in sealed().headers])
@pytest.mark.parametrize("value", [None, b"", b"other"])
def test_another_value_of_any_header_is_refused(name: str, value: bytes | None) -> None:
    wanted = Doubt.KEY_UNKNOWN if name == KEY_ID else Doubt.SIGNATURE_WRONG
    assert doubt(with_header(sealed(), name, value)) is wanted


@pytest.mark.parametrize("name", [name for name, _ in sealed().headers])
def test_a_header_that_is_left_out_is_refused(name: str) -> None:
    record = sealed()._replace(headers=tuple(one for one in sealed().headers if one[0] != name))
    wanted = {SIGNATURE: Doubt.UNSIGNED, KEY_ID: Doubt.KEY_UNKNOWN}.get(name, Doubt.SIGNATURE_WRONG)
    assert doubt(record) is wanted


@pytest.mark.parametrize("added", [("traceparent", b"00-1"), ("ce_type", b"x"), sealed().headers[-1], ("x", None)])
@pytest.mark.parametrize("place", range(len(sealed().headers) + 1))
def test_a_header_more_is_refused_wherever_it_stands(added: tuple[str, bytes | None], place: int) -> None:
    headers = list(sealed().headers)
    headers.insert(place, added)
    assert doubt(sealed()._replace(headers=tuple(headers))) is Doubt.SIGNATURE_WRONG


@pytest.mark.parametrize("key", [None, b"", b"bank/Deployment/ledger"])
def test_another_key_is_refused(key: bytes | None) -> None:
    assert doubt(sealed()._replace(key=key)) is Doubt.SIGNATURE_WRONG


def test_another_topic_is_refused() -> None:
    assert doubt(sealed()._replace(topic="sre.commands.copied")) is Doubt.SIGNATURE_WRONG


def test_what_nobody_signed_is_refused() -> None:
    assert doubt(read(encode(COMMAND, topic=COMMANDS, source="decider"))) is Doubt.UNSIGNED
    assert doubt(sealed()._replace(headers=())) is Doubt.UNSIGNED


def test_a_key_that_is_not_believed_is_refused_also_under_a_believed_ones_name() -> None:
    forged = sealed(seal=command_seal(OTHER_KEY, "production"))
    assert doubt(forged) is Doubt.KEY_UNKNOWN
    assert doubt(with_header(forged, KEY_ID, KEY.key_id.encode())) is Doubt.SIGNATURE_WRONG


def test_a_command_of_another_cluster_is_refused_although_the_key_is_believed() -> None:
    assert doubt(sealed(seal=command_seal(KEY, "staging"))) is Doubt.OTHER_CLUSTER


def test_while_keys_change_both_are_believed() -> None:
    both = checks_of([KEY.public, OTHER_KEY.public])
    for key in (KEY, OTHER_KEY):
        record = sealed(seal=command_seal(key, "production"))
        assert doubt_about(record, both, cluster="production") is None


def spaced(told: bytes) -> bytes:
    return told[:2] + b" " + told[2:]


def longer(told: bytes) -> bytes:
    return told + b"00"


@pytest.mark.parametrize("written", [bytes.upper, spaced, longer])
def test_a_signature_is_written_in_one_way_alone(written: Callable[[bytes], bytes]) -> None:
    signature = sealed().headers[-1][1] or b""
    assert doubt(with_header(sealed(), SIGNATURE, written(signature))) is Doubt.SIGNATURE_WRONG


@given(chance=st.data())
def test_a_single_byte_that_differs_is_refused_wherever_it_is(chance: st.DataObject) -> None:
    record = sealed()
    parts = [record.topic.encode(), record.key or b"", record.value or b""]
    parts += [part for name, value in record.headers for part in (name.encode(), value or b"")]
    number = chance.draw(st.sampled_from(range(len(parts))))
    place = chance.draw(st.integers(0, len(parts[number]) - 1))
    byte = chance.draw(st.integers(0, 127).filter(lambda one: one != parts[number][place]))
    parts[number] = parts[number][:place] + bytes([byte]) + parts[number][place + 1 :]
    names, values = parts[3::2], parts[4::2]
    headers = tuple((name.decode(), value) for name, value in zip(names, values, strict=True))
    assert doubt(record._replace(topic=parts[0].decode(), key=parts[1], value=parts[2], headers=headers)) is not None


def text_of(
    *, topic: str = "t", key: bytes | None = b"k", value: bytes | None = b"v", headers: Headers = (("n", b"h"),)
) -> bytes:
    return covered_text(topic, key, value=value, headers=headers)


@pytest.mark.parametrize(
    "other",
    [
        text_of(topic="tk", key=b""),
        text_of(key=b"kv", value=b""),
        text_of(key=b"", value=b"kv"),
        text_of(value=b"vn", headers=(("", b"h"),)),
        text_of(headers=(("nh", b""),)),
        text_of(headers=(("", b"nh"),)),
        text_of(headers=(("n", b"h"), ("", b""))),
        text_of(headers=()),
    ],
)
def test_a_boundary_that_is_moved_gives_another_text(other: bytes) -> None:
    assert other != text_of()


def test_what_is_absent_is_not_what_is_empty() -> None:
    assert text_of(key=None) != text_of(key=b"")
    assert text_of(value=None) != text_of(value=b"")
    assert text_of(headers=(("n", None),)) != text_of(headers=(("n", b""),))


PART = st.none() | st.binary(max_size=4)
HEADERS = st.lists(st.tuples(st.text(max_size=3), PART), max_size=3).map(tuple)
RECORDS = st.tuples(st.text(max_size=3), PART, PART, HEADERS)


@given(one=RECORDS, other=RECORDS)
def test_other_records_have_other_texts(
    one: tuple[str, bytes | None, bytes | None, Headers], other: tuple[str, bytes | None, bytes | None, Headers]
) -> None:
    texts = [covered_text(topic, key, value=value, headers=headers) for topic, key, value, headers in (one, other)]
    assert (texts[0] == texts[1]) is (one == other)


def test_a_remediators_seal_signs_what_it_reads_again_and_nothing_else() -> None:
    seal = record_seal(KEY, "production")
    for topic in TOPICS:
        out = Outgoing(topic.name, b"key", b"value", ())
        signed = read(seal(out))
        is_signed = signed.headers != ()
        assert is_signed is (topic in {AUDIT, SPENDINGS})
        assert doubt_about(signed, KEYS, cluster="production") is (None if is_signed else Doubt.UNSIGNED)
