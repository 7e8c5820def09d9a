"""What happens to requests on their way: they take time, they get lost, and so do the answers to those that arrived."""

import asyncio
from dataclasses import dataclass, field
from random import Random

from shared.kernel.errors import UnavailableError

_SLOW_S, _GIVEN_UP_S = 0.8, 2.0


@dataclass(slots=True)
class Weather:
    """Chance on the wires; `away` names who does not answer at all, `roughness` is the share of requests in trouble."""

    chance: Random = field(default_factory=lambda: Random(0))
    roughness: float = 0.0
    away: set[str] = field(default_factory=set[str])

    async def request(self, whom: str) -> None:
        """Travel to somebody.

        Raises:
            UnavailableError: the request was lost.
        """
        await self._travel(whom, "no answer")

    async def answer(self, whom: str) -> None:
        """Travel back.

        Raises:
            UnavailableError: the answer was lost; what was asked for has happened.
        """
        await self._travel(whom, "the answer was lost")

    async def _travel(self, whom: str, lost: str) -> None:
        if whom in self.away or self.happens(self.roughness / 4):
            await asyncio.sleep(_GIVEN_UP_S)
            raise UnavailableError(f"{whom}: {lost}")
        await asyncio.sleep(_SLOW_S * self.chance.random() if self.happens(self.roughness) else 0.001)

    def happens(self, share: float) -> bool:
        """Tell whether what happens with this probability happens now."""
        return share > 0 and self.chance.random() < share
