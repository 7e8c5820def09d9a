"""The registry: every action of the union is whole, and the playbook's words are those of actions."""

from typing import get_args

import pytest

from shared.contracts.actions import ACTIONS, KINDS, RIGHTS, RUNGS, AnyAction
from shared.contracts.actions.base import ActionBase
from shared.contracts.paths import COLLECTIONS


def test_every_action_is_known_by_the_word_that_it_is_discriminated_by() -> None:
    assert list(ACTIONS.values()) == list(get_args(AnyAction))
    assert all(get_args(one.model_fields["kind"].annotation) == (kind,) for kind, one in ACTIONS.items())
    assert ACTIONS.keys() == RIGHTS.keys() == KINDS.keys()


def test_every_step_of_a_playbook_that_acts_is_named_after_its_action() -> None:
    assert RUNGS.keys() <= ACTIONS.keys()


@pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS)
def test_an_action_says_what_it_heals_and_asks_for_the_rights_it_needs(action: type[ActionBase]) -> None:
    assert action.HEALS
    assert action.RIGHTS
    assert COLLECTIONS.keys() | {"Node"} >= action.KINDS
    verbs = {right.verb for right in action.RIGHTS}
    assert "*" not in verbs
    assert bool(verbs & {"patch", "create", "delete"}) is not action.TRACELESS  # what changes no object leaves no trace
