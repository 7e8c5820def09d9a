"""The playbook as people are shown it: what is in force, and what is wrong with a file that is not taken up."""

from collections.abc import Sequence

from pydantic import BaseModel

from shared.contracts.incidents import Mode
from shared.contracts.model import Moment
from shared.contracts.playbooks import LoadOutcome, PlaybookFault, PlaybookInForce, PlaybookLoad, RuleBrief


class RejectedPlaybook(BaseModel):
    """A file that cannot be used, by the hash of its text (empty where none could be read), and all that is wrong."""

    hash: str
    since: Moment
    faults: Sequence[PlaybookFault]


class PlaybookStatus(BaseModel):
    """The playbook in force since a moment; `rejected` is the file as it is now, until a good one comes."""

    hash: str
    name: str
    mode: Mode
    since: Moment
    rules: Sequence[RuleBrief]
    rejected: RejectedPlaybook | None


def playbook_status(playbook: PlaybookInForce, load: PlaybookLoad | None) -> PlaybookStatus:
    """Return what is in force, with the file that was rejected since, if the last one was."""
    is_rejected = load is not None and load.outcome is LoadOutcome.REJECTED
    return PlaybookStatus(
        hash=playbook.hash,
        name=playbook.name,
        mode=playbook.mode,
        since=playbook.at,
        rules=playbook.rules,
        rejected=RejectedPlaybook(hash=load.hash, since=load.at, faults=load.faults) if load and is_rejected else None,
    )
