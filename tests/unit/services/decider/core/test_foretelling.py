"""What a preview predicted, held against what was told while its action was carried out."""

from collections.abc import Sequence

import pytest
from hypothesis import given

from shared.contracts.inbox import Outcome
from shared.contracts.incidents import Decision, Reason
from shared.contracts.predictions import Prediction
from shared.contracts.scores import PREDICTIONS, Score, scores_of
from tests.unit.services.decider.core.build import (
    PLAYBOOK,
    History,
    approval,
    finding,
    health,
    history,
    manual,
    result,
)
from tests.unit.services.decider.core.histories import Move, ended, moves, told

APPROVAL = PLAYBOOK.replace("spec:", "spec:\n  mode: approval")
THREE_TO_TWO = Prediction(replaces=("a", "b", "c"), replaced=3, away=1, available=3, lowest=2)


def tell(story: History, seconds: float, available: int, *, healthy: bool = False) -> None:
    story.take(health(healthy=healthy, seconds=seconds).model_copy(update={"available": available}), seconds=seconds)


def previewed(prediction: Prediction | None = THREE_TO_TWO, *, available: int = 3) -> History:
    """Return a history in which a person approved at second 4 what was previewed at second 2."""
    story = history(APPROVAL)
    tell(story, 0, available)
    story.take(finding(seconds=1), seconds=1)
    shown = result(story.commands[-1], seconds=2, outcome=Outcome.DRY_RUN)
    story.take(shown.model_copy(update={"prediction": prediction}), seconds=2)
    story.take(approval(story.incident, seconds=4), seconds=4)
    return story


def verified(story: History, lows: Sequence[int], *, outcome: Outcome = Outcome.APPLIED) -> list[Decision]:
    """Let the action be carried out, some replicas be available meanwhile, and the workload become well."""
    tell(story, 5, lows[0])
    story.take(result(story.commands[-1], seconds=6, outcome=outcome), seconds=6)
    for number, available in enumerate(lows[1:]):
        tell(story, 7 + number, available)
    tell(story, 20, 3, healthy=True)
    story.wake()
    return scored(story)


def scored(story: History) -> list[Decision]:
    return [one for one in story.outputs if isinstance(one, Decision) and one.reason in PREDICTIONS]


HELD, NOT_HELD = PREDICTIONS


@pytest.mark.parametrize(
    ("available", "lows", "reason", "told_of"),
    [
        (3, [3, 2, 2], HELD, "2 predicted, 2 seen"),
        (3, [3, 2, 1], NOT_HELD, "2 predicted, 1 seen"),
        (3, [1, 3], NOT_HELD, "2 predicted, 1 seen"),
        (1, [1, 1], HELD, "1 predicted, 1 seen"),
        (1, [0, 1], NOT_HELD, "1 predicted, 0 seen"),
    ],
)
def test_a_prediction_is_held_against_the_fewest_that_were_available(
    available: int, lows: list[int], reason: Reason, told_of: str
) -> None:
    [only] = verified(previewed(available=available), lows)
    assert (only.reason, only.rule, only.step, only.attempt) == (reason, "crash", 0, 1)
    assert only.detail == f"restart pod frontend-1: lowest available: {told_of}"


def test_it_is_told_when_the_step_is_over_and_of_its_incident() -> None:
    story = previewed()
    [only] = verified(story, [3, 2])
    assert only.incident == story.incident.id
    assert story.reasons.index(Reason.VERIFIED) < story.reasons.index(Reason.PREDICTION_HELD)


def test_a_cure_that_is_not_proven_is_scored_as_well() -> None:
    story = previewed()
    tell(story, 5, 1)
    story.take(result(story.commands[-1], seconds=6), seconds=6)
    assert not scored(story)
    story.wake()
    assert Reason.NOT_VERIFIED in story.reasons
    assert [one.reason for one in scored(story)] == [Reason.PREDICTION_NOT_HELD]


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.FAILED, Outcome.UNKNOWN])
def test_of_what_was_not_carried_out_for_certain_nothing_is_told(outcome: Outcome) -> None:
    assert not verified(previewed(), [3, 1], outcome=outcome)


@pytest.mark.parametrize("prediction", [None, Prediction(replaced=0, available=3, lowest=2)])
def test_where_nothing_was_predicted_nothing_is_told(prediction: Prediction | None) -> None:
    assert not verified(previewed(prediction), [3, 1])


def test_where_nothing_was_told_of_the_replicas_nothing_is_told_of_the_prediction() -> None:
    story = previewed()
    story.take(result(story.commands[-1], seconds=6), seconds=6)
    story.wake()
    assert Reason.NOT_VERIFIED in story.reasons
    assert not scored(story)


def test_what_is_told_before_a_person_approved_is_not_the_actions_doing() -> None:
    story = history(APPROVAL)
    tell(story, 0, 3)
    story.take(finding(seconds=1), seconds=1)
    shown = result(story.commands[-1], seconds=2, outcome=Outcome.DRY_RUN)
    story.take(shown.model_copy(update={"prediction": THREE_TO_TWO}), seconds=2)
    tell(story, 3, 0)
    tell(story, 3.5, 3)
    story.take(approval(story.incident, seconds=4), seconds=4)
    assert [one.reason for one in verified(story, [3, 2])] == [Reason.PREDICTION_HELD]


def test_what_a_person_asked_for_is_no_rules_prediction() -> None:
    people = PLAYBOOK.replace("spec:", "spec:\n  manual: {mode: approval}")
    story = history(people)
    tell(story, 0, 3)
    story.take(manual(seconds=1), seconds=1)
    shown = result(story.commands[-1], seconds=2, outcome=Outcome.DRY_RUN)
    story.take(shown.model_copy(update={"prediction": THREE_TO_TWO}), seconds=2)
    assert story.workload.foretold is None


@given(moves())
def test_only_what_was_applied_is_scored_and_once(steps: list[Move]) -> None:
    story = ended(told(steps))
    places = [(one.incident, one.step, one.attempt) for one in scored(story)]
    assert len(places) == len(set(places))
    live = {(one.incident, one.step, one.attempt) for one in story.commands if not one.dry_run and one.approved_by}
    assert set(places) <= live


def test_predictions_are_counted_beside_hindsights() -> None:
    story = previewed()
    [only] = verified(story, [3, 1])
    assert scores_of([only]) == {"crash": Score(prediction_not_held=1)}
    assert Score(prediction_held=2, prediction_not_held=1).predictions_in_words == "2 of 3"
    assert Score().predictions_in_words == ""
