"""Golden histories as files: each line one record of the inbox, or one output that followed from the record above it.

`{"in": {partition, offset, timestamp, type, body}}` and `{"out": {topic, body}}`; the bodies are as on the wire.
"""

import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from services.decider.core.absorbing import topic_of
from services.decider.core.replaying import Replay
from services.decider.core.turn import Output
from shared.contracts.codec import TYPE_PREFIX, Record, body_of
from shared.contracts.topics import INBOX

HISTORIES = Path(__file__).resolve().parent


def histories() -> list[Path]:
    """Return all golden histories."""
    return sorted(HISTORIES.glob("*.jsonl"))


def decided(records: Sequence[Record]) -> Iterator[str]:
    """Yield the lines of a history, decided now by what `sre-agent replay` runs; each partition for itself."""
    for _, partition in groupby(records, key=lambda record: record.partition):
        replay = Replay()
        for record in partition:
            yield _line_of_record(record)
            yield from map(_line_of_output, replay.take(record))


def records_of(lines: Sequence[str]) -> list[Record]:
    """Return the inbox's records of a history's lines."""
    return [_record(line) for line in lines if line.startswith('{"in":')]


def _record(line: str) -> Record:
    words = json.loads(line)["in"]
    body = words["body"]
    return Record(
        topic=INBOX.name,
        partition=words["partition"],
        offset=words["offset"],
        timestamp_ms=words["timestamp"],
        key=None,
        value=_compact(body).encode(),
        headers=(
            ("ce_id", body["id"].encode()),
            ("ce_type", (TYPE_PREFIX + words["type"]).encode()),
            ("ce_source", b"/sre-agent/golden"),
        ),
    )


def _line_of_record(record: Record) -> str:
    kind = (dict(record.headers)["ce_type"] or b"").decode().removeprefix(TYPE_PREFIX)
    place = f'"partition":{record.partition},"offset":{record.offset},"timestamp":{record.timestamp_ms}'
    return f'{{"in":{{{place},"type":"{kind}","body":{(record.value or b"").decode()}}}}}'


def _line_of_output(output: Output) -> str:
    return f'{{"out":{{"topic":"{topic_of(output).name}","body":{body_of(output).decode()}}}}}'


def _compact(body: object) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))
