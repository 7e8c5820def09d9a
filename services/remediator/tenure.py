"""A leader's hold on the lease, as far as it can be sure of it by itself."""

import asyncio

from shared.infra.redis import Term
from shared.kernel.errors import UnavailableError


class Tenure:
    """This process' hold on the lease, by its loop's monotonic clock: it ends here before it can end in the store.

    One that has ended stays so, whatever the store says later: while this process stood still, others may have led and
    gone, and a store that was restored from an old copy may name it as the holder again.
    """

    def __init__(self, term: Term, *, until: float) -> None:
        self.term = term
        self._until = until

    @property
    def token(self) -> int:
        """Return the fencing token of all that is done in it."""
        return self.term.token

    @property
    def is_held(self) -> bool:
        """Tell whether the hold is certain."""
        return asyncio.get_running_loop().time() < self._until

    def extend(self, until: float) -> None:
        """Hold on until a moment of the loop's clock, unless it is over."""
        if self.is_held:
            self._until = until

    def end(self) -> None:
        """Let go."""
        self._until = float("-inf")

    def check(self) -> None:
        """Refuse to go on when the hold may be over.

        Raises:
            UnavailableError: it may be over.
        """
        if not self.is_held:
            raise UnavailableError("the lease may be somebody else's by now")
