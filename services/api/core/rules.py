"""Rules as people are shown them: how far each may go, and how what it was kept from ordering turned out."""

from collections.abc import Mapping

from pydantic import BaseModel

from shared.contracts.modes import Mode
from shared.contracts.playbooks import PlaybookInForce
from shared.contracts.scores import Score


class RuleStatus(BaseModel):
    """A rule, its mode (None where the playbook in force has no such rule any more), and its score.

    `precision` is the part of wanted actions of those of which it is known; None where it is known of none.
    """

    name: str
    mode: Mode | None
    score: Score
    precision: float | None


def rule_statuses(playbook: PlaybookInForce | None, scores: Mapping[str, Score]) -> list[RuleStatus]:
    """Return the rules in force in their order, then those that only have a score left."""
    modes = {rule.name: rule.mode for rule in playbook.rules} if playbook is not None else {}
    names = [*modes, *sorted(name for name in scores if name not in modes)]
    return [_status(name, modes.get(name), scores.get(name, Score())) for name in names]


def _status(name: str, mode: Mode | None, score: Score) -> RuleStatus:
    return RuleStatus(name=name, mode=mode, score=score, precision=score.precision)
