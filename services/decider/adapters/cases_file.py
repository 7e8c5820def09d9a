"""A file of cases with the playbook that it names."""

from dataclasses import dataclass
from pathlib import Path

from services.decider.adapters.playbook_file import read_playbook, text_of
from services.decider.core.cases import Cases, check_names, read_cases
from services.decider.core.playbook import Playbook


@dataclass(frozen=True, slots=True)
class CasesFile:
    """Cases that are fit to be tried."""

    path: Path
    cases: Cases
    playbook_path: Path
    playbook: Playbook


def read_cases_file(path: Path) -> CasesFile:
    """Return the cases of a file and their playbook; every name that the cases use is there.

    Raises:
        ConfigError: one of the two cannot be read, or (PlaybookError) used.
    """
    cases = read_cases(text_of(path, what="file of cases"), file=str(path))
    playbook_path = path.parent / cases.words.playbook
    playbook = read_playbook(playbook_path, cases.arguments)
    check_names(cases, playbook)
    return CasesFile(path, cases, playbook_path, playbook)
