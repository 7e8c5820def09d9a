"""Which step of the ladder in force an open incident stands at, and which comes next.

A playbook that comes into force may have put steps in, taken some out, or moved them. So steps are known by what they
say; their numbers are those of the ladder in force. No guard is skipped, and nothing is done twice.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile

from services.decider.core.rungs import action_in, said_in
from services.decider.core.state import Climb
from services.decider.core.turn import Turn
from shared.contracts.incidents import Incident, Phase, Reason, StepRecord


def realign(turn: Turn) -> None:
    """Find the open incident's present step in the ladder in force, or note that it is gone."""
    incident, climb = turn.state.open_incident, turn.state.climb
    rule = turn.rule_named(incident.rule) if incident is not None else None
    if incident is None or rule is None:
        return
    if climb is None:  # of a former release, whose steps were their numbers
        turn.remember(climb=Climb(rungs=rule.steps, passed=rule.steps[: incident.step]))
    elif rule.steps != climb.rungs:
        _count_in(turn, climb, rule.steps)


def climb_on(turn: Turn) -> None:
    """Leave the present step behind for the first of the ladder in force that was neither passed nor taken."""
    climb = turn.state.climb
    if climb is None:
        turn.revise(step=turn.incident.step + 1, attempt=1)
        return
    left = replace(climb, passed=(*climb.passed, _present(climb, turn.incident)), gone="")
    turn.remember(climb=left)
    turn.revise(step=_first_ahead(left) if left.changes else turn.incident.step + 1, attempt=1)


def is_another_than_shown(turn: Turn) -> bool:
    """Tell whether another ladder has another step by now in the place of the one that is previewed."""
    climb = turn.state.climb
    return climb is not None and climb.changes > 0 and turn.state.previewed != turn.said


def note_taken(turn: Turn) -> None:
    """Note that the present step's command was carried out or tried, so that no other step does the same again."""
    climb = turn.state.climb
    if climb is not None and (present := _present(climb, turn.incident)) not in climb.taken:
        turn.remember(climb=replace(climb, taken=(*climb.taken, present)))


def _count_in(turn: Turn, climb: Climb, rungs: tuple[str, ...]) -> None:
    """Count the present step in another ladder; where it has not begun, what was put in before it comes first."""
    present, incident = _present(climb, turn.incident), turn.incident
    after = replace(climb, rungs=rungs, changes=climb.changes + 1, gone="")
    place = _place_of(present, rungs, besides=climb.passed)
    if not _has_begun(incident):
        ahead = _first_ahead(after)
        turn.remember(climb=after)
        _renumber(turn, ahead, is_same=ahead == place)
        return
    turn.remember(climb=replace(after, gone=present if place is None else ""))
    if place is not None:
        _renumber(turn, place, is_same=True)


def _has_begun(incident: Incident) -> bool:
    """Tell whether more was done for the present step than to preview it, or to wait until it may begin."""
    is_waited = incident.phase is Phase.WAITING and incident.reason is Reason.WAITING
    return is_waited or incident.attempt > 1 or incident.phase in {Phase.ACTING, Phase.VERIFYING, Phase.REVERTING}


def _present(climb: Climb, incident: Incident) -> str:
    return climb.gone or (climb.rungs[incident.step] if incident.step < len(climb.rungs) else "")


def _place_of(name: str, rungs: Sequence[str], *, besides: Sequence[str]) -> int | None:
    """Return where a step stands: the same one, else one that says the same under another condition."""
    if name in rungs:
        return rungs.index(name)
    alike = (place for place, one in enumerate(rungs) if name and said_in(one) == said_in(name) and one not in besides)
    return next(alike, None)


def _renumber(turn: Turn, place: int, *, is_same: bool) -> None:
    """Go to another number; where it is that of the same step, so is what was ordered of it and predicted about it."""
    incident, foretold = turn.incident, turn.state.foretold
    if place == incident.step:
        return
    if not is_same:
        turn.revise(step=place)
        return
    own = list(takewhile(lambda one: one.step == incident.step, reversed(incident.steps)))
    earlier = incident.steps[: len(incident.steps) - len(own)]
    if foretold is not None and (foretold.incident, foretold.step) == (incident.id, incident.step):
        turn.remember(foretold=replace(foretold, step=place))
    turn.revise(step=place, steps=(*earlier, *(_numbered(one, place) for one in reversed(own))))


def _numbered(step: StepRecord, place: int) -> StepRecord:
    return step.model_copy(update={"step": place})


def _first_ahead(climb: Climb) -> int:
    """Return the first step that was neither passed nor does what was taken already by whatever words."""
    taken, before = Counter(map(action_in, climb.taken)), Counter[str]()
    for place, name in enumerate(climb.rungs):
        action = action_in(name)
        if name not in climb.passed and before[action] >= taken[action]:
            return place
        before[action] += 1
    return len(climb.rungs)
