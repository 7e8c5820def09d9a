"""The playbook's words: what they may say, and what is named as a fault before it can do harm."""

import pytest

from services.decider.core.faults import PlaybookError
from services.decider.core.playbook import load_playbook
from tests.unit.services.decider.core.build import PLAYBOOK


@pytest.mark.parametrize("length", ["366d", "999999999d", "9999999999d", "8761h", "999999999999999999999s"])
def test_a_duration_beyond_the_calendar_is_a_fault_and_not_a_crash(length: str) -> None:
    with pytest.raises(PlaybookError, match="at most 365d"):
        load_playbook(PLAYBOOK.replace("cooldown: 5m", f"cooldown: {length}"), file="test")


def test_a_year_is_a_duration() -> None:
    assert load_playbook(PLAYBOOK.replace("cooldown: 5m", "cooldown: 365d"), file="test").rules["crash"]
