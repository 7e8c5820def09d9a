"""Scores: how the actions that rules were kept from ordering turned out, counted by rule."""

from collections.abc import Iterable
from typing import Self

from shared.contracts.incidents import Decision
from shared.contracts.model import Value
from shared.contracts.reasons import Reason

HINDSIGHTS = (Reason.NEEDLESS, Reason.MISSED, Reason.CONFIRMED, Reason.DIFFERED, Reason.UNTOLD)
"""The reasons of decisions that tell what came without an action."""
PREDICTIONS = (Reason.PREDICTION_HELD, Reason.PREDICTION_NOT_HELD)
"""The reasons of decisions that tell whether what was predicted of an action held when it was carried out."""
SCORED = (*HINDSIGHTS, *PREDICTIONS)


class Score(Value):
    """A rule's hindsights, and whether the predictions of its actions held, counted."""

    needless: int = 0
    missed: int = 0
    confirmed: int = 0
    differed: int = 0
    untold: int = 0
    prediction_held: int = 0
    prediction_not_held: int = 0

    @property
    def wanted(self) -> int:
        """Return how often the action was wanted: it stayed broken without, or somebody did the same."""
        return self.missed + self.confirmed

    @property
    def told(self) -> int:
        """Return how often it is known whether the action was wanted."""
        return self.wanted + self.needless

    @property
    def precision(self) -> float | None:
        """Return the part of wanted actions of those of which it is known; None where it is known of none."""
        return self.wanted / self.told if self.told else None

    @property
    def precision_in_words(self) -> str:
        """Return the precision with the counts that it stands on: of two it says little."""
        return f"{100 * self.wanted // self.told} % ({self.wanted} of {self.told})" if self.told else ""

    @property
    def predictions_in_words(self) -> str:
        """Return how many predictions held, of how many that were held against what happened."""
        told = self.prediction_held + self.prediction_not_held
        return f"{self.prediction_held} of {told}" if told else ""

    def of(self, reason: Reason) -> int:
        """Return how often a scored decision was made for a reason."""
        return int(getattr(self, _field(reason)))

    def with_more(self, reason: Reason, *, times: int = 1) -> Self:
        """Return the score with a scored decision counted."""
        return self.model_copy(update={_field(reason): self.of(reason) + times})


def scores_of(decisions: Iterable[Decision]) -> dict[str, Score]:
    """Return the score of each rule of which anything is scored; a decision that is written twice counts once."""
    told = {one.id: one for one in decisions if one.reason in SCORED}
    scores: dict[str, Score] = {}
    for one in told.values():
        scores[one.rule] = scores.get(one.rule, Score()).with_more(one.reason)
    return dict(sorted(scores.items()))


def _field(reason: Reason) -> str:
    return reason.value.replace("-", "_")
