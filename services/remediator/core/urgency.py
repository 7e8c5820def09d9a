"""Of many commands that wait, which goes first."""

from shared.contracts.codec import Record, decode
from shared.contracts.commands import Command
from shared.contracts.incidents import Severity
from shared.kernel.errors import PoisonError

_UNDOES = 1 + max(one.urgency for one in Severity)
"""What undoes a harm goes before what cures the most severe."""


def severity_of(command: Command) -> Severity:
    """Return how severe a command's incident is; one of before there was a severity is neither first nor last."""
    return command.severity or Severity.WARNING


def urgency_of(command: Command) -> int:
    """Return how urgent a command is; the higher the sooner."""
    return _UNDOES if command.eases else severity_of(command).urgency


def urgency_of_record(record: Record) -> int:
    """Return how urgent a record is, before it is known whether it is believed; what is no command is least so."""
    try:
        message = decode(record).message
    except PoisonError:
        return 0
    return urgency_of(message) if isinstance(message, Command) else 0
