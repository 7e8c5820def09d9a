"""Scores: how the actions that rules were kept from ordering turned out, counted by rule."""

from collections.abc import Iterable
from typing import Self

from shared.contracts.incidents import Decision
from shared.contracts.model import Value
from shared.contracts.reasons import Reason

HINDSIGHTS = (Reason.NEEDLESS, Reason.MISSED, Reason.CONFIRMED, Reason.DIFFERED, Reason.UNTOLD)
"""The reasons of decisions that tell what came without an action."""


class Score(Value):
    """A rule's hindsights, counted."""

    needless: int = 0
    missed: int = 0
    confirmed: int = 0
    differed: int = 0
    untold: int = 0

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

    def of(self, hindsight: Reason) -> int:
        """Return how often a hindsight was told."""
        return int(getattr(self, hindsight.value))

    def with_more(self, hindsight: Reason, *, times: int = 1) -> Self:
        """Return the score with a hindsight counted."""
        return self.model_copy(update={hindsight.value: self.of(hindsight) + times})


def scores_of(decisions: Iterable[Decision]) -> dict[str, Score]:
    """Return the score of each rule of which any hindsight is told; a decision that is written twice counts once."""
    told = {one.id: one for one in decisions if one.reason in HINDSIGHTS}
    scores: dict[str, Score] = {}
    for one in told.values():
        scores[one.rule] = scores.get(one.rule, Score()).with_more(one.reason)
    return dict(sorted(scores.items()))
