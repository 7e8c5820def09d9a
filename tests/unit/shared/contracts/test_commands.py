"""Commands: what one says of itself beside its fields."""

from datetime import UTC, datetime

import pytest

from shared.contracts.actions import Action, Cordon, Uncordon
from shared.contracts.commands import Command
from shared.contracts.workloads import WorkloadRef

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def command(action: Action, *, reverts: str = "") -> Command:
    return Command(
        id="cmd-1",
        at=NOW,
        workload=WorkloadRef(kind="Node", name="n1"),
        incident="inc-1",
        rule="rule",
        playbook="hash",
        step=0,
        attempt=1,
        action=action,
        dry_run=False,
        reverts=reverts,
        expires_at=NOW,
        requested_by="test",
    )


@pytest.mark.parametrize(
    ("asked", "eases"),
    [
        (command(Cordon()), False),
        (command(Uncordon()), True),
        (command(Cordon(), reverts="cmd-0"), True),
    ],
)
def test_what_undoes_and_what_eases_is_never_braked(asked: Command, *, eases: bool) -> None:
    assert asked.eases is eases
