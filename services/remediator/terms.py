"""Terms whose tokens never go back, whatever the store and the broker have forgotten."""

from services.remediator.adapters.register import Register
from shared.contracts.topics import COMMANDS
from shared.infra.broker import Archive
from shared.infra.redis import Lease, Term
from shared.runtime.log import logger


class Terms:
    """Begin terms: above the store's own count, the cluster's register, and what was ever written to the commands."""

    def __init__(self, lease: Lease, register: Register, archive: Archive) -> None:
        self._lease = lease
        self._register = register
        self._archive = archive

    async def next(self, owner: str) -> Term | None:
        """Return a term whose token is above all before it, and known to the cluster; None if another was first.

        Raises:
            UnavailableError: store, broker or cluster do not answer, or the register cannot be used.
        """
        over = await self._register.read()
        written = sum((await self._archive.end_offsets(COMMANDS)).values())
        term = await self._lease.acquire(owner, floor=max(written, over.token))
        if term is None or await self._register.raise_to(term, over=over):
            return term
        logger().warning("lease.yielded", token=term.token)
        await self._lease.release(term)
        return None
