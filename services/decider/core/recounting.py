"""What of all that was counted still counts: by the words in force, and for as long as anything may need it."""

from collections.abc import Iterator
from dataclasses import replace

from services.decider.core.matching import says
from services.decider.core.rules import Rule
from services.decider.core.tallies import Held, Tally, is_spent, rule_of_key
from services.decider.core.turn import Turn


def recount(turn: Turn) -> None:
    """Keep of what was counted what the playbook in force counts, too, and what is not spent.

    Without a playbook nothing is known of that. By other words of a rule of the same name it begins anew, but for what
    holds by these.
    """
    before = turn.state.tallies
    if turn.world.playbook is None:
        return
    after = {key: _recounted(turn, key, tally) for key, tally in before.items()}
    if any(after[key] is not tally for key, tally in before.items()):
        turn.remember(tallies={key: tally for key, tally in after.items() if tally is not None})


def _recounted(turn: Turn, key: str, tally: Tally) -> Tally | None:
    rule = turn.rule_named(rule_of_key(key))
    if rule is None:
        return None
    if tally.touched is None:  # of a former release, which noted no time
        tally = replace(tally, touched=turn.now)
    if is_spent(tally, words=rule.words, now=turn.now):
        return None
    if not tally.counting:  # of a former release, which noted no words: it counts on
        return replace(tally, counting=rule.counting)
    if tally.counting == rule.counting:
        return tally
    anew = Tally(counting=rule.counting, touched=turn.now, held=tuple(_held_anew(turn, rule, tally)))
    return None if anew.is_empty else anew


def _held_anew(turn: Turn, rule: Rule, tally: Tally) -> Iterator[Held]:
    """Yield what holds by the new words, from its newest signal on: no collector tells it again.

    Of a sample nobody knows which words of a rule's own query it answers.
    """
    if rule.words.held_for is None or rule.words.promql:
        return
    for one in tally.held:
        if one.finding is not None and one.at is not None and says(rule, one.finding):
            yield Held(object=one.object, since=one.at, at=one.at, told=turn.now, finding=one.finding)
