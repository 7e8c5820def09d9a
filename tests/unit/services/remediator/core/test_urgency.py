"""Of many commands that wait, which goes first."""

from services.remediator.core.urgency import urgency_of, urgency_of_record
from shared.contracts.actions import Uncordon
from shared.contracts.codec import Record, encode
from shared.contracts.incidents import Severity
from shared.contracts.topics import COMMANDS
from tests.unit.services.remediator.build import command


def test_what_undoes_a_harm_is_first_then_the_more_severe() -> None:
    waiting = [
        command("undo", reverts="cmd-0", severity=Severity.INFO),
        *(command(one.value, severity=one) for one in (Severity.CRITICAL, Severity.WARNING, Severity.INFO)),
    ]
    urgencies = [urgency_of(one) for one in waiting]
    assert urgencies == sorted(set(urgencies), reverse=True)
    assert urgency_of(command()) == urgency_of(command(severity=Severity.WARNING))
    assert urgency_of(command(action=Uncordon(), severity=Severity.INFO)) == urgencies[0]


def test_a_record_is_as_urgent_as_its_command_and_what_nobody_can_read_is_least() -> None:
    asked = command(severity=Severity.CRITICAL)
    out = encode(asked, topic=COMMANDS, source="decider")
    record = Record(out.topic, 0, 0, 0, out.key, out.value, out.headers)
    assert urgency_of_record(record) == urgency_of(asked)
    assert urgency_of_record(record._replace(value=b"?")) == 0
