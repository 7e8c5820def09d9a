"""An export: the records about one incident as they lay on their topics, one a line, under a line that names the form.

Offsets and times are kept, because ids derive from them; so are the bytes of every record that is decided on.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from services.decider.core.faults import Fault, Mark, shortened
from shared.contracts.codec import Record, decode
from shared.contracts.model import JsonObject, JsonValue
from shared.contracts.topics import INBOX
from shared.contracts.workloads import WorkloadRef
from shared.kernel.errors import ConfigError, PoisonError
from shared.kernel.redaction import redact

VERSION = 1
_MAX_FAULTS = 20
_LATEST_MS = 253_402_300_799_999
"""The last moment of the year 9999: beyond it there are no dates."""
_CAPTURED = ("logs", "events", "objects", "notes")


class Header(BaseModel):
    """What a file is about; `begins` is the first offset that the inbox's partition still had.

    `redactions` counts what was taken out of the evidence, which nothing is decided on.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    sre_agent_export: int
    incident: str
    workload: str
    partition: int = Field(ge=0)
    begins: int = Field(ge=0)
    records: int = Field(ge=0)
    redactions: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class Export:
    """A header and its records, topic by topic, in the order of the offsets."""

    header: Header
    records: Sequence[Record]

    def of(self, topic: str) -> list[Record]:
        """Return the records of a topic."""
        return [record for record in self.records if record.topic == topic]


class ExportError(ConfigError):
    """Signal that a file is no export that can be read; the first faults, in the order of the file."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(map(str, self.faults)))


class _Line(BaseModel):
    """One record; what is no text, or no JSON as our own services write it, is base64."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    topic: str
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    timestamp: int = Field(ge=0, le=_LATEST_MS)
    key: str | None = None
    key_base64: str | None = None
    headers: tuple[tuple[str, str], ...] = ()
    headers_base64: tuple[tuple[str, str], ...] = ()
    body: JsonValue = None
    value_base64: str | None = None


def redacted(record: Record) -> tuple[Record, int]:
    """Return a piece of evidence with secrets and personal data taken out of what was captured, and how many pieces."""
    body = _JSON_OBJECT.validate_json(record.value or b"{}")
    cleaned = {name: _cleaned(body[name], name=name) for name in _CAPTURED if name in body}
    body |= {name: value for name, (value, _) in cleaned.items()}
    return record._replace(value=_compact(body)), sum(count for _, count in cleaned.values())


def export_of(
    records: Sequence[Record], *, incident: str, workload: WorkloadRef, begins: int, redactions: int
) -> Export:
    """Return the export of an incident's records; those of the inbox lie in one partition."""
    partition = next((record.partition for record in records if record.topic == INBOX.name), 0)
    header = Header(
        sre_agent_export=VERSION,
        incident=incident,
        workload=workload.key,
        partition=partition,
        begins=begins,
        records=len(records),
        redactions=redactions,
    )
    return Export(header, records)


def lines_of(export: Export) -> Iterator[str]:
    """Yield the lines of a file; equal exports give equal lines."""
    yield export.header.model_dump_json()
    yield from map(_line_of, export.records)


def read_export(lines: Iterable[str], *, file: str) -> Export:
    """Return the export of a file's lines.

    Raises:
        ExportError: with the first lines that are no part of one, each with its place and what was expected.
    """
    numbered = enumerate(lines, start=1)
    header = _header_of(next(numbered, (1, ""))[1], file=file)
    records: list[Record] = []
    faults: list[Fault] = []
    ends: dict[tuple[str, int], int] = {}
    for number, line in numbered:
        found = _record_of(line, place=_Place(file, number), header=header)
        if isinstance(found, Record):
            found = _in_order(found, ends, place=_Place(file, number))
        if isinstance(found, Record):
            records.append(found)
        else:
            faults.append(found)
        if len(faults) >= _MAX_FAULTS:
            break
    if not faults and len(records) != header.records:
        faults = [_Place(file, len(records) + 1).fault(f"expected {header.records} records, found {len(records)}")]
    if faults:
        raise ExportError(faults)
    return Export(header, records)


@dataclass(frozen=True, slots=True)
class _Place:
    file: str
    line: int

    def fault(self, expected: str, *, path: str = "", column: int = 1, hint: str = "") -> Fault:
        return Fault(self.file, Mark(self.line, column), path, expected, hint)


def _header_of(line: str, *, file: str) -> Header:
    place = _Place(file, 1)
    parsed = _parsed(line, place)
    if isinstance(parsed, Fault):
        raise ExportError([parsed])
    if "sre_agent_export" not in parsed:
        hint = "`sre-agent export INCIDENT` writes such a file"
        raise ExportError([place.fault('expected a header: {"sre_agent_export": 1, …}', hint=hint)])
    if parsed["sre_agent_export"] != VERSION:
        found = shortened(str(parsed["sre_agent_export"]))
        raise ExportError([place.fault(f"expected an export of version {VERSION}, found {found}")])
    try:
        header = Header.model_validate(parsed)
        WorkloadRef.parse(header.workload)
    except ValidationError as invalid:
        raise ExportError([_refused(place, invalid)]) from invalid
    except ValueError as invalid:
        raise ExportError([place.fault(str(invalid), path="workload")]) from invalid
    return header


def _record_of(line: str, *, place: _Place, header: Header) -> Record | Fault:
    parsed = _parsed(line, place)
    if isinstance(parsed, Fault):
        return parsed
    try:
        record = _read(_Line.model_validate(parsed))
        decode(record)
    except ValidationError as invalid:
        return _refused(place, invalid)
    except ValueError as invalid:  # no base64, or no text
        return place.fault(f"expected a record's bytes: {invalid}")
    except PoisonError as poison:
        return place.fault(f"expected a message of its topic: {poison}")
    if record.topic == INBOX.name and record.partition != header.partition:
        expected = f"expected partition {header.partition} of the inbox, found {record.partition}"
        return place.fault(expected, path="partition")
    return record


def _in_order(record: Record, ends: dict[tuple[str, int], int], *, place: _Place) -> Record | Fault:
    before = ends.get((record.topic, record.partition), -1)
    if record.offset <= before:
        expected = f"expected an offset after {before} of {record.topic}/{record.partition}, found {record.offset}"
        return place.fault(expected, path="offset")
    ends[record.topic, record.partition] = record.offset
    return record


def _parsed(line: str, place: _Place) -> JsonObject | Fault:
    try:
        found = json.loads(line)
    except json.JSONDecodeError as broken:
        return place.fault(f"expected one JSON object a line: {broken.msg}", column=broken.colno)
    except (ValueError, RecursionError):
        return place.fault("expected JSON that can be read; its numbers are too long, or it is nested too deep")
    if not isinstance(found, dict):
        return place.fault(f"expected one JSON object a line, found {shortened(line)}")
    return cast("JsonObject", found)


def _refused(place: _Place, invalid: ValidationError) -> Fault:
    first = invalid.errors(include_url=False, include_input=False)[0]
    return place.fault(first["msg"], path=".".join(map(str, first["loc"])))


def _read(line: _Line) -> Record:
    headers = [(name, value.encode()) for name, value in line.headers]
    headers += [(name, b64decode(value, validate=True)) for name, value in line.headers_base64]
    value = _compact(line.body) if line.body is not None else None
    return Record(
        topic=line.topic,
        partition=line.partition,
        offset=line.offset,
        timestamp_ms=line.timestamp,
        key=_bytes(line.key, line.key_base64),
        value=value if line.value_base64 is None else b64decode(line.value_base64, validate=True),
        headers=tuple(headers),
    )


def _bytes(text: str | None, base64: str | None) -> bytes | None:
    if base64 is not None:
        return b64decode(base64, validate=True)
    return text.encode() if text is not None else None


def _line_of(record: Record) -> str:
    members: dict[str, JsonValue] = {
        "topic": record.topic,
        "partition": record.partition,
        "offset": record.offset,
        "timestamp": record.timestamp_ms,
        **_key_of(record.key),
        **_headers_of(record),
        **_value_of(record.value),
    }
    return _compact(members).decode()


def _key_of(key: bytes | None) -> JsonObject:
    if key is None:
        return {}
    try:
        return {"key": key.decode()}
    except UnicodeDecodeError:
        return {"key_base64": b64encode(key).decode()}


def _headers_of(record: Record) -> JsonObject:
    try:
        return {"headers": [[name, (value or b"").decode()] for name, value in record.headers]}
    except UnicodeDecodeError:
        return {"headers_base64": [[name, b64encode(value or b"").decode()] for name, value in record.headers]}


def _value_of(value: bytes | None) -> JsonObject:
    """Return a body as the JSON that it is, where it can be had back byte for byte."""
    if value is None:
        return {}
    try:
        body = cast("JsonValue", json.loads(value))
        if body is not None and _compact(body) == value:
            return {"body": body}
    except (ValueError, RecursionError):
        pass
    return {"value_base64": b64encode(value).decode()}


def _compact(value: JsonValue) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def _cleaned(value: JsonValue, *, name: str) -> tuple[JsonValue, int]:
    match value:
        case str():
            return _cleaned_text(value, name)
        case list():
            parts = [_cleaned(one, name=name) for one in value]
            return [part for part, _ in parts], sum(count for _, count in parts)
        case dict():
            members = {key: _cleaned(one, name=key) for key, one in value.items()}
            return {key: part for key, (part, _) in members.items()}, sum(count for _, count in members.values())
        case _:
            return value, 0


def _cleaned_text(text: str, name: str) -> tuple[str, int]:
    """Return a text without secrets; all of it is one where its name says so."""
    if text and redact(f"{name}=x").count:
        return "[REDACTED:secret]", 1
    cleaned = redact(text)
    return cleaned.text, cleaned.count


_JSON_OBJECT: TypeAdapter[JsonObject] = TypeAdapter(JsonObject)
