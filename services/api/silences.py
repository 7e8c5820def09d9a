"""Silences as people begin, look at and end them; what they hold back the decider says."""

from datetime import datetime, timedelta
from http import HTTPStatus

from pydantic import BaseModel

from services.api.adapters.read_model import ReadModel
from services.api.problems import FieldFault, ProblemError, ProblemReason
from shared.contracts.inbox import LONGEST_SILENCE, Matchers, Silence, SilenceEnded
from shared.contracts.model import Moment
from shared.contracts.topics import INBOX
from shared.infra.broker import Publisher
from shared.kernel.clock import Clock
from shared.kernel.ids import derive

MOST_ACTIVE = 50
"""Each finding is held against all of them, and each stored position of the inbox holds them; who needs more wants a
rule that is off."""


class SilenceStatus(BaseModel):
    """A silence, whether it is in force, who ended it, and how many decisions named it as their reason."""

    silence: Silence
    active: bool
    ended: SilenceEnded | None
    suppressed: int
    last_suppressed_at: Moment | None


class Silences:
    """What people keep the rules away from; it goes through the inbox, so that it is decided, kept and replayed."""

    def __init__(self, model: ReadModel, publisher: Publisher, clock: Clock) -> None:
        self._model = model
        self._publisher = publisher
        self._clock = clock

    async def all(self, *, only_active: bool) -> list[SilenceStatus]:
        """Return silences, those that are in force first, each half by its end with the latest first."""
        now = self._clock.now()
        kept = [
            SilenceStatus(
                silence=one.silence,
                active=one.ended is None and now < one.silence.expires_at,
                ended=one.ended,
                suppressed=one.suppressed,
                last_suppressed_at=one.last_suppressed_at,
            )
            for one in await self._model.silences()
        ]
        return sorted((one for one in kept if one.active or not only_active), key=lambda one: not one.active)

    async def begin(self, matchers: Matchers, *, cause: str, expires_at: datetime, by: str) -> Silence:
        """Silence what all matchers name; it is in force where the inbox has it, which it has when this returns.

        Raises:
            ProblemError: it ends before it begins, or too late (422), or there are too many (409).
            UnavailableError: the broker does not answer; some partitions may have it already.
        """
        now = self._clock.now()
        _refuse_moment(expires_at, now)
        if len(await self.all(only_active=True)) >= MOST_ACTIVE:
            detail = f"{MOST_ACTIVE} silences are active, which is the limit; end one, or silence more by one glob"
            raise ProblemError(HTTPStatus.CONFLICT, ProblemReason.TOO_MANY_SILENCES, detail)
        name = derive("silence", by, now.isoformat(), matchers.model_dump_json(), cause)
        silence = Silence(id=name, at=now, by=by, cause=cause, matchers=matchers, expires_at=expires_at)
        await self._publisher.broadcast(silence, topic=INBOX)
        await self._model.note(silence)
        return silence

    async def end(self, silence: str, *, by: str) -> SilenceEnded:
        """End a silence early.

        Raises:
            ProblemError: there is none of that id (404), or it is over already (409).
        """
        found = next((one for one in await self.all(only_active=False) if one.silence.id == silence), None)
        if found is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, ProblemReason.SILENCE_UNKNOWN, f"no silence has the id {silence!r}"
            )
        if not found.active:
            over = f"ended by {found.ended.by}" if found.ended else f"expired at {found.silence.expires_at}"
            raise ProblemError(HTTPStatus.CONFLICT, ProblemReason.SILENCE_OVER, f"the silence is over: {over}")
        ended = SilenceEnded(id=derive("silence-ended", silence, by), at=self._clock.now(), silence=silence, by=by)
        await self._publisher.broadcast(ended, topic=INBOX)
        await self._model.note(ended)
        return ended


def _refuse_moment(expires_at: datetime, now: datetime) -> None:
    if timedelta(0) < expires_at - now <= LONGEST_SILENCE:
        return
    expected = f"a moment after {now.isoformat()}, by at most {LONGEST_SILENCE.days} days"
    fault = FieldFault(field="body.expires_at", expected=expected)
    status, reason = HTTPStatus.UNPROCESSABLE_ENTITY, ProblemReason.INVALID_REQUEST
    raise ProblemError(status, reason, f"{fault.field}: expected {expected}", faults=[fault])
