"""States as rows of the stream's table: one a workload, one a partition, and one for each playbook of a partition."""

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Protocol

from services.decider.core.absorbing import Absorbed
from services.decider.core.playbook import Playbook
from services.decider.core.state import (
    PartitionState,
    WorkloadState,
    partition_bytes,
    partition_of,
    workload_bytes,
    workload_of,
)
from shared.contracts.model import Moment

_OFFSET = re.compile(rb'\{"offset":(-?\d+)[,}]')
_PARTITION = "@partition/"
_PLAYBOOK = "@playbook/"


class Rows(Protocol):
    """Stored rows by key."""

    def get(self, key: str) -> bytes | None:
        """Return a row; None if it is not there."""
        ...

    def items(self) -> Iterator[tuple[str, bytes]]:
        """Return all rows."""
        ...


class States:
    """Read states out of rows and write them back; what was decoded last is kept, as long as its row is the same."""

    def __init__(self) -> None:
        self._partitions: dict[int, tuple[bytes, PartitionState]] = {}
        self._workloads: dict[str, tuple[bytes, WorkloadState]] = {}

    def partition(self, number: int, rows: Rows) -> PartitionState:
        """Return a partition's state."""
        stored = rows.get(f"{_PARTITION}{number}")
        known = self._partitions.get(number)
        if stored is None:
            return PartitionState()
        if known is not None and known[0] == stored:
            return known[1]
        return partition_of(stored, lambda name: _playbook_text(number, name, rows=rows))

    def workload(self, key: str, rows: Rows) -> WorkloadState:
        """Return a workload's state."""
        stored, known = rows.get(key), self._workloads.get(key)
        if stored is not None and known is not None and known[0] == stored:
            return known[1]
        return workload_of(stored)

    def changed(self, number: int, key: str, absorbed: Absorbed, *, before: Playbook | None) -> dict[str, bytes]:
        """Return the rows to write, the partition's position last: what it covers is written by then."""
        rows: dict[str, bytes] = {}
        if absorbed.workload is not None:
            rows[key] = workload_bytes(absorbed.workload)
            self._workloads[key] = (rows[key], absorbed.workload)
        playbook = absorbed.partition.playbook
        if playbook is not None and playbook is not before:
            rows[f"{_PLAYBOOK}{number}/{playbook.hash}"] = playbook.text.encode()
        return rows | self._position(number, absorbed.partition)

    def passed(self, number: int, offset: int, rows: Rows) -> dict[str, bytes]:
        """Return the row that says an offset was passed by without effect."""
        return self._position(number, replace(self.partition(number, rows), offset=offset))

    def _position(self, number: int, partition: PartitionState) -> dict[str, bytes]:
        row = partition_bytes(partition)
        self._partitions[number] = (row, partition)
        return {f"{_PARTITION}{number}": row}


def offset_of(row: bytes) -> int:
    """Return the offset that a row was written at; -1 for a playbook's text, which is the same at every one."""
    found = _OFFSET.match(row)
    return int(found[1]) if found else -1


def wake_ups(rows: Rows) -> Iterator[tuple[str, Moment]]:
    """Return the workloads that are to be woken, each with its moment."""
    for key, row in rows.items():
        if not key.startswith("@") and (wake_at := workload_of(row).wake_at) is not None:
            yield key, wake_at


def _playbook_text(number: int, name: str, *, rows: Rows) -> str | None:
    """Return the text of the playbook of a hash; an older version kept one text a partition, whichever it was."""
    text = rows.get(f"{_PLAYBOOK}{number}/{name}") or rows.get(f"{_PLAYBOOK}{number}")
    return text.decode() if text is not None else None
