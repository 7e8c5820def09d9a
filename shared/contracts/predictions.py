"""Predictions: what a change would bring about beside itself, as far as the cluster told when it was asked."""

from shared.contracts.model import Value

MOST_NAMED = 50


class Room(Value):
    """How many new pods a node has room for."""

    node: str
    pods: int


class BudgetLeft(Value):
    """What a PodDisruptionBudget wants and would be left with; `asked` where the change must be allowed by it."""

    name: str
    wanted: int
    healthy: int
    lowest: int
    asked: bool


class QuotaLeft(Value):
    """What a ResourceQuota has left of a resource, and what of it the change needs at most at one time."""

    name: str
    resource: str
    left: str
    needed: str
    suffices: bool


class Prediction(Value):
    """What a change would bring about: which pods go, how few are there meanwhile, where the new ones have room.

    `lowest` is a bound: with what its strategy allows, no fewer are available than that (of those that are now).
    `rooms` holds against all `wave` new pods that are made at once; None where it could not be judged. `notes` say
    what was not judged, and why.
    """

    replaces: tuple[str, ...] = ()
    replaced: int = 0
    away: int = 0
    surge: int = 0
    ordered: bool = False
    available: int = 0
    lowest: int = 0
    wave: int = 0
    rooms: tuple[Room, ...] | None = None
    needs: str = ""
    budgets: tuple[BudgetLeft, ...] = ()
    quotas: tuple[QuotaLeft, ...] = ()
    barred: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def fitting(self) -> int | None:
        """Return how many of the new pods that are made at once have room."""
        return None if self.rooms is None else min(self.wave, sum(room.pods for room in self.rooms))
