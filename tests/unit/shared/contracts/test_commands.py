"""Commands: what one says of itself beside its fields."""

import pytest

from shared.contracts.actions import Cordon, Uncordon
from shared.contracts.commands import Command
from tests.unit.shared.contracts.test_signatures import COMMAND


@pytest.mark.parametrize(
    ("asked", "eases"),
    [
        (COMMAND.model_copy(update={"action": Cordon()}), False),
        (COMMAND.model_copy(update={"action": Uncordon()}), True),
        (COMMAND.model_copy(update={"action": Cordon(), "reverts": "cmd-0"}), True),
    ],
)
def test_what_undoes_and_what_eases_is_never_braked(asked: Command, *, eases: bool) -> None:
    assert asked.eases is eases
