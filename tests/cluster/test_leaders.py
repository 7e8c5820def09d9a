"""Leaders that stand still or die at each step, as processes: nothing stale is let through, all is done once.

LEADER_ROUNDS asks for more rounds than each step once: `make leaders-real`.
"""

import pytest

from tests.cluster.leaders import FORGOTTEN, ROUNDS, Led

pytestmark = pytest.mark.cluster
NAMES = [f"{number + 1} {one}" for number, one in enumerate(ROUNDS)]


@pytest.mark.parametrize("number", range(len(ROUNDS)), ids=NAMES)
def test_nothing_stale_is_let_through_and_every_command_is_carried_out_and_told_once(led: Led, number: int) -> None:
    ended = led.rounds[number]
    assert not ended.judgement.violations, "\n".join([str(ended.round), *ended.judgement.violations, ended.story])


def test_nor_is_there_anything_in_all_rounds_taken_together(led: Led) -> None:
    assert led.whole.violations == []


def test_stale_writes_were_tried_so_it_was_the_api_server_that_stopped_them(led: Led) -> None:
    assert any(ended.judgement.denied for ended in led.rounds)


def test_without_the_fence_a_leader_that_was_followed_does_harm_and_it_is_seen(led: Led) -> None:
    assert len(led.unfenced.judgement.stale) == 1, led.unfenced.story
    assert any("told as refused" in one for one in led.unfenced.judgement.violations)


@pytest.mark.parametrize("how", ["wiped", "an old copy"])
def test_where_the_store_forgets_while_it_is_led_the_token_never_goes_back(led: Led, how: str) -> None:
    found = [one for one in led.forgotten if one.how == how]
    assert len(found) == FORGOTTEN // 2
    assert [one for one in found if one.after <= one.before or one.renewed or one.wrote] == []
