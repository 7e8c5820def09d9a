"""The cases of playbooks as golden histories: what comes into the inbox of each, one partition a case."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from services.decider.adapters.cases_file import CasesFile, read_cases_file
from services.decider.core.trial import START, try_cases
from shared.contracts.codec import Record, encode
from shared.contracts.inbox import InboxEntry, PlaybookActivated
from shared.contracts.topics import INBOX
from shared.kernel.clock import to_millis
from shared.kernel.ids import derive

ROOT = Path(__file__).resolve().parents[2]
READY = ROOT / "deploy" / "playbooks"


def cases_files() -> list[Path]:
    """Return the files of cases of the shipped playbook and of those that are ready for use."""
    return [ROOT / "healing-playbook.test.yaml", *sorted(READY.glob("**/*.test.yaml"))]


def history_of(path: Path) -> str:
    """Return the name of the history that a file of cases becomes."""
    return f"tried-{path.name.removesuffix('.test.yaml')}"


def written(path: Path) -> Iterator[Record]:
    """Yield the inbox of each case of a file, after the playbook that it tries."""
    file = read_cases_file(path)
    for partition, trial in enumerate(try_cases(file.cases, file.playbook)):
        entries = [(_activated(file), START), *trial.taken]
        yield from (_record(*one, partition=partition, offset=offset) for offset, one in enumerate(entries))


def _activated(file: CasesFile) -> PlaybookActivated:
    playbook = file.playbook
    return PlaybookActivated(id=derive("playbook", playbook.hash), at=START, hash=playbook.hash, text=playbook.text)


def _record(entry: InboxEntry, moment: datetime, *, partition: int, offset: int) -> Record:
    out = encode(entry, topic=INBOX, source="golden")
    return Record(INBOX.name, partition, offset, to_millis(moment), out.key, out.value, out.headers)
