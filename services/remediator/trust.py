"""Which commands are believed: those that the decider of this cluster signed. The others have no result.

A result would settle the incident and the claim that a forged command names, which may be those of a real one.
"""

from shared.contracts.codec import Envelope, Record
from shared.contracts.signatures import Keys, doubt_about, key_id_of
from shared.kernel.errors import PoisonError
from shared.runtime.consuming import Handle
from shared.runtime.metrics import SIGNATURES

_SHOWN_CHARS = 40


class Trust:
    """Believe the commands that were signed for this cluster by one of these keys."""

    def __init__(self, keys: Keys, *, cluster: str) -> None:
        self._keys = keys
        self._cluster = cluster

    def guarded(self, handle: Handle) -> Handle:
        """Return what handles a command only where it is believed."""

        async def believed(envelope: Envelope) -> None:
            self.check(envelope.record)
            await handle(envelope)

        return believed

    def check(self, record: Record) -> None:
        """Refuse a command that is not believed, by its reason.

        Raises:
            PoisonError: it is not believed; the dead letters keep it.
        """
        key, doubt = key_id_of(record), doubt_about(record, self._keys, cluster=self._cluster)
        SIGNATURES.labels(verdict=doubt or "good", key=key if key in self._keys else "unknown").inc()
        if doubt is not None:
            raise PoisonError(f"{doubt}: the command says that it was signed by key {key[:_SHOWN_CHARS]!r}")
