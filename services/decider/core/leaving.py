"""What stays counted when an incident ends: its rule begins anew, but for what lasts of objects that it left alone."""

from collections.abc import Iterable

from services.decider.core.grouping import object_of
from services.decider.core.ladder import Plan
from services.decider.core.tallies import Tally, rule_of_key, without_objects
from services.decider.core.turn import Turn
from shared.contracts.actions import Action
from shared.contracts.incidents import Reason


def left_over(turn: Turn) -> dict[str, Tally]:
    """Return the tallies that outlive the incident.

    What lasts is told once, when it begins: what is not remembered here of the other pods is never told again.
    """
    incident, rule = turn.incident, turn.rule
    others = {key: tally for key, tally in turn.state.tallies.items() if rule_of_key(key) != incident.rule}
    if rule is None or rule.words.held_for is None:
        return others
    actions = list(_actions(turn))
    if not all(action.PARTIAL for action in actions):
        return others
    touched = _touched(turn, actions)
    own = {key: without_objects(tally, touched) for key, tally in turn.state.tallies.items() if key not in others}
    return {**others, **{key: tally for key, tally in own.items() if not tally.is_empty}}


def _actions(turn: Turn) -> Iterable[Action]:
    """Yield what was ordered, and what would have been next: in shadow that is all there is."""
    yield from (one.action for one in turn.incident.steps)
    plan = turn.plan
    if isinstance(plan, Plan) and not isinstance(plan.action, Reason):
        yield plan.action


def _touched(turn: Turn, actions: Iterable[Action]) -> set[str]:
    """Return the pods that were acted on; where none was, the object that the incident was about."""
    targets = (action.target(turn.incident.workload) for action in actions)
    pods = {target.name for target in targets if target.kind == "Pod"}
    finding = turn.state.finding
    return pods or ({object_of(finding.signal)} if finding is not None else set())
