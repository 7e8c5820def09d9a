"""What other services are told of playbooks: the one in force, and what became of the file."""

from collections.abc import Sequence
from datetime import datetime

from services.decider.core.faults import Fault, Mark, PlaybookError
from services.decider.core.ladder import mode_of
from services.decider.core.playbook import Playbook
from services.decider.core.rules import Rule
from shared.contracts.inbox import PlaybookActivated
from shared.contracts.model import body_of
from shared.contracts.playbooks import LoadOutcome, PlaybookFault, PlaybookInForce, PlaybookLoad, RuleBrief
from shared.kernel.clock import EPOCH
from shared.kernel.errors import ConfigError
from shared.kernel.ids import derive

MOST_FAULTS = 100
MOST_BYTES = 900_000
"""Below the one mebibyte that a broker takes by default as one message, with room for what is around it."""


def fitting(playbook: Playbook) -> Playbook:
    """Return a playbook that can be told to others.

    Raises:
        PlaybookError: it is larger than a message may be: nobody could ever be told that it is in force.
    """
    told = PlaybookActivated(id="", at=EPOCH, hash=playbook.hash, text=playbook.text)
    size = len(body_of(in_force(playbook, told)))
    if size > MOST_BYTES:
        expected = f"expected a playbook that fits into a message of the broker: {MOST_BYTES} bytes, found {size}"
        raise PlaybookError([playbook.source.fault((), expected, mark=Mark(1, 1))])
    return playbook


def in_force(playbook: Playbook, entry: PlaybookActivated) -> PlaybookInForce:
    """Return what is told of a playbook that an entry has put in force; the same of each partition."""
    return PlaybookInForce(
        id=derive("in-force", entry.id),
        at=entry.at,
        hash=playbook.hash,
        name=playbook.words.metadata.name,
        mode=playbook.words.spec.mode,
        rules=tuple(_brief(playbook, rule) for rule in playbook.rules.values()),
        text=playbook.text,
    )


def accepted(playbook: Playbook, *, at: datetime) -> PlaybookLoad:
    """Return that a file was read that is fit for use."""
    name = derive("playbook-load", playbook.hash, at.isoformat())
    return PlaybookLoad(id=name, at=at, outcome=LoadOutcome.ACCEPTED, hash=playbook.hash)


def rejected(broken: ConfigError, *, digest: str, at: datetime) -> PlaybookLoad:
    """Return that a file was read that cannot be used, or that none could be read (without a digest)."""
    return PlaybookLoad(
        id=derive("playbook-load", digest, at.isoformat()),
        at=at,
        outcome=LoadOutcome.REJECTED,
        hash=digest,
        faults=tuple(_told(fault) for fault in _faults_of(broken)[:MOST_FAULTS]),
    )


def fault_told(fault: Fault) -> PlaybookFault:
    """Return a fault as it is told outside of this process."""
    return PlaybookFault(
        file=fault.file,
        line=fault.mark.line,
        column=fault.mark.column,
        path=fault.path,
        expected=fault.expected,
        hint=fault.hint,
    )


def _brief(playbook: Playbook, rule: Rule) -> RuleBrief:
    words = rule.words
    return RuleBrief(
        name=words.name,
        description=words.description,
        signal=words.signal,
        severity=words.severity,
        mode=mode_of(playbook, rule),
        promql=words.promql,
    )


def _faults_of(broken: ConfigError) -> Sequence[Fault | str]:
    return broken.faults if isinstance(broken, PlaybookError) else [str(broken)]


def _told(fault: Fault | str) -> PlaybookFault:
    return PlaybookFault(file="", line=0, column=0, expected=fault) if isinstance(fault, str) else fault_told(fault)
