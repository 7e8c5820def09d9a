"""Which commands and which records are believed: those that the decider, or a remediator, of this cluster signed.

A command that is not believed has no result: that would settle the incident and the claim that it names, which may be
those of a real one. A record that is not believed counts for nothing: it neither stops a leader nor frees a budget.
"""

from collections.abc import AsyncGenerator, AsyncIterator

from shared.contracts.codec import Envelope, Record
from shared.contracts.signatures import Doubt, Keys, doubt_about, key_id_of
from shared.kernel.errors import PoisonError
from shared.runtime.consuming import Handle
from shared.runtime.log import logger
from shared.runtime.metrics import DOUBTED, SIGNATURES

_SHOWN_CHARS = 40
_OLD = "old"


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


class OwnTrust:
    """Believe what remediators of this cluster have signed by one of these keys, of what they read again."""

    def __init__(self, keys: Keys, *, cluster: str) -> None:
        self._keys = keys
        self._cluster = cluster
        self._logged: set[tuple[str, str]] = set()

    async def believed(self, records: AsyncIterator[Record]) -> AsyncGenerator[Record]:
        """Yield the records that are believed; the others are counted, and the first of each kind is logged.

        What has no signature and lies before the first that has one may be from before records were signed. It is not
        believed either, but counted apart.
        """
        has_begun = False
        async for record in records:
            doubt = doubt_about(record, self._keys, cluster=self._cluster)
            if doubt is None:
                has_begun = True
                yield record
            else:
                self._report(record, _OLD if doubt is Doubt.UNSIGNED and not has_begun else doubt.value)

    def _report(self, record: Record, doubt: str) -> None:
        DOUBTED.labels(topic=record.topic, doubt=doubt).inc()
        if (record.topic, doubt) in self._logged:
            return  # whoever writes many of them is not to fill the log as well
        self._logged.add((record.topic, doubt))
        log = logger().info if doubt == _OLD else logger().error
        log("record.not_believed", place=record.place, doubt=doubt, key=key_id_of(record)[:_SHOWN_CHARS])
