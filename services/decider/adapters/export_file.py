"""An export as a file, and as an archive: what reads topics from Kafka reads them from the file as well."""

import sys
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path

from services.decider.core.exports import Export, lines_of, read_export
from shared.contracts.codec import Record
from shared.contracts.topics import Topic
from shared.kernel.errors import ConfigError

STDOUT = Path("-")


def write_export(path: Path, export: Export) -> None:
    """Write an export to a file, or to the standard output where the path is `-`.

    Raises:
        ConfigError: the file cannot be written.
    """
    text = "".join(f"{line}\n" for line in lines_of(export))
    if path == STDOUT:
        sys.stdout.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as unwritable:
        raise ConfigError(f"{path}: expected a file that can be written: {unwritable}") from unwritable


def read_export_file(path: Path) -> Export:
    """Return the export of a file.

    Raises:
        ConfigError: it cannot be read, or (ExportError) is none.
    """
    try:
        with path.open(encoding="utf-8", newline="\n") as lines:
            return read_export((line.rstrip("\r\n") for line in lines), file=str(path))
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigError(f"{path}: expected a readable export in UTF-8: {unreadable}") from unreadable


class ExportArchive:
    """Read topics out of an export."""

    def __init__(self, export: Export) -> None:
        self._records: defaultdict[str, list[Record]] = defaultdict(list)
        for record in export.records:
            self._records[record.topic].append(record)

    async def read(self, topic: Topic, *, start: Mapping[int, int] | None = None) -> AsyncGenerator[Record]:
        """Yield what the file holds of a topic, partition by partition, in the order of the offsets."""
        for record in sorted(self._records[topic.name], key=lambda one: (one.partition, one.offset)):
            if record.offset >= (start or {}).get(record.partition, 0):
                yield record

    async def read_one(self, topic: Topic, *, partition: int, offset: int) -> Record | None:
        """Return the record at an offset; None if the file has none."""
        records = self._records[topic.name]
        return next((one for one in records if (one.partition, one.offset) == (partition, offset)), None)

    async def end_offsets(self, topic: Topic) -> dict[int, int]:
        """Return the offset after the last record of each partition that the file has something of."""
        ends: dict[int, int] = {}
        for record in self._records[topic.name]:
            ends[record.partition] = max(record.offset + 1, ends.get(record.partition, 0))
        return ends
