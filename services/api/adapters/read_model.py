"""The read model in Redis: each message's changes and its offset are written as one; all of it can be rebuilt.

The topics are the truth. Where the store has forgotten what this process wrote, reading begins anew.
"""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import date, timedelta
from typing import TypeVar

from pydantic import BaseModel

from services.api.core.projection import (
    DECISIONS,
    INCIDENTS,
    OFFSETS,
    OPEN,
    PLAYBOOK,
    PLAYBOOK_LOAD,
    PREFIX,
    SCORE_DAYS,
    SILENCES,
    STOPS,
    STREAM,
    SUPPRESSED_AT,
    changes_of,
    decisions_key,
    evidence_key,
    incident_key,
    report_key,
    score_key,
    silence_key,
    single_id,
    with_counts,
)
from shared.contracts.codec import Envelope, Record
from shared.contracts.evidence import Evidence
from shared.contracts.inbox import Silence, SilenceEnded
from shared.contracts.incidents import Decision, Incident
from shared.contracts.model import Moment
from shared.contracts.playbooks import PlaybookInForce, PlaybookLoad
from shared.contracts.reports import Report
from shared.contracts.scores import Score
from shared.contracts.stops import Stop
from shared.contracts.topics import Topic
from shared.infra.redis import Redis
from shared.kernel.clock import from_millis
from shared.kernel.errors import SreAgentError

_BLOCK = timedelta(seconds=1)
_STREAM_BATCH = 100
_MOST_SILENCES = 1_000
_SEEN_KEPT = 1_000
"""What is written twice comes twice in a row, but for what the process wrote that died in between."""
_APPLY = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known then return -1 end
if tonumber(ARGV[2]) < tonumber(known) then return 0 end
local again = ARGV[4] ~= '' and redis.call('ZADD', KEYS[2], 'NX', ARGV[2], ARGV[4]) == 0
if not again then
  for _, change in ipairs(cjson.decode(ARGV[3])) do redis.call(unpack(change)) end
  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -1 - tonumber(ARGV[5]))
end
redis.call('HSET', KEYS[1], ARGV[1], string.format('%d', tonumber(ARGV[2]) + 1))
return 1
"""
M = TypeVar("M", bound=BaseModel)


class ForgottenError(SreAgentError):
    """Signal that the store has lost the read model; it is read anew from the topics."""


class KeptSilence(BaseModel):
    """A silence, how it was ended, and how many decisions named it."""

    silence: Silence
    ended: SilenceEnded | None
    suppressed: int
    last_suppressed_at: Moment | None


class StreamEntry(BaseModel):
    """One line of the live stream; `id` is where a reader that was cut off goes on."""

    id: str
    type: str
    body: str


class ReadModel:
    """Write and read what the API shows."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def begin(self, topics: Sequence[Topic]) -> dict[tuple[str, int], int]:
        """Return the offsets to read on from, by topic and partition.

        Raises:
            UnavailableError: the store does not answer.
        """
        places = [(topic.name, number) for topic in topics for number in range(topic.partitions)]
        for topic, number in places:
            await self._redis.run("HSETNX", OFFSETS, _place(topic, number), 0)
        known = await self._redis.run("HGETALL", OFFSETS)
        return {(topic, number): int(known[_place(topic, number)]) for topic, number in places}

    async def apply(self, envelope: Envelope) -> None:
        """Write what a message changes, once however often it is delivered, and a decision however often written.

        Raises:
            ForgottenError: the store has lost what was written before.
            UnavailableError: the store does not answer; it may have been written.
        """
        changes = json.dumps(changes_of(envelope.message))
        await self._write(envelope.record, changes, single_id(envelope.message))

    async def _write(self, record: Record, changes: str, name: str) -> None:
        place = _place(record.topic, record.partition)
        written = await self._redis.script(
            _APPLY,
            keys=[OFFSETS, f"{PREFIX}seen:{place}"],
            arguments=[place, record.offset, changes, name, _SEEN_KEPT],
        )
        if int(written) < 0:
            raise ForgottenError("the store has lost the read model; reading it anew from the topics")

    async def incidents(self, *, only_open: bool, limit: int) -> list[Incident]:
        """Return incidents, the newest first."""
        ids = await self._redis.run(
            "ZRANGE", OPEN if only_open else INCIDENTS, "+inf", "-inf", "BYSCORE", "REV", "LIMIT", 0, limit
        )
        texts: list[str | None] = await self._redis.run("MGET", *map(incident_key, ids)) if ids else []
        return [Incident.model_validate_json(text) for text in texts if text]

    async def incident(self, incident: str) -> Incident | None:
        """Return an incident."""
        return await self._one(Incident, incident_key(incident))

    async def report(self, incident: str) -> Report | None:
        """Return an incident's report."""
        return await self._one(Report, report_key(incident))

    async def decisions_of(self, incident: str) -> list[Decision]:
        """Return an incident's decisions in the order in which they were made."""
        return sorted(await self._all(Decision, decisions_key(incident)), key=lambda one: one.at)

    async def evidence_of(self, incident: str) -> list[Evidence]:
        """Return an incident's evidence."""
        return await self._all(Evidence, evidence_key(incident))

    async def decisions(self, *, limit: int) -> list[Decision]:
        """Return the newest decisions about anything, also those to do nothing."""
        texts = await self._redis.run("LRANGE", DECISIONS, 0, limit - 1)
        return [Decision.model_validate_json(text) for text in texts]

    async def playbook(self) -> PlaybookInForce | None:
        """Return the playbook in force; None until one is."""
        return await self._one(PlaybookInForce, PLAYBOOK)

    async def playbook_load(self) -> PlaybookLoad | None:
        """Return what became of the playbook's file when it was last read."""
        return await self._one(PlaybookLoad, PLAYBOOK_LOAD)

    async def scores(self, since: date | None = None) -> dict[str, Score]:
        """Return the score of each rule, of the last month or from a day on."""
        begin = "-inf" if since is None else since.toordinal()
        days: list[str] = await self._redis.run("ZRANGE", SCORE_DAYS, begin, "+inf", "BYSCORE")
        scores: dict[str, Score] = {}
        for day in days:
            scores = with_counts(scores, await self._redis.run("HGETALL", score_key(day)))
        return scores

    async def stops(self) -> list[Stop]:
        """Return the stops in force, the latest first."""
        return sorted(await self._all(Stop, STOPS), key=lambda one: one.at, reverse=True)

    async def note(self, message: Silence | SilenceEnded | Stop) -> None:
        """Show at once what a topic has by now; read from there again, it is the same."""
        for change in changes_of(message):
            await self._redis.run(*change)

    async def silences(self) -> list[KeptSilence]:
        """Return silences that are in force or over for not long, those that expire last first."""
        ids: list[str] = await self._redis.run(
            "ZRANGE", SILENCES, "+inf", "-inf", "BYSCORE", "REV", "LIMIT", 0, _MOST_SILENCES
        )
        if not ids:
            return []
        moments: list[float | None] = await self._redis.run("ZMSCORE", SUPPRESSED_AT, *ids)
        found = [await self._silence(name, last) for name, last in zip(ids, moments, strict=True)]
        return [one for one in found if one is not None]

    async def _silence(self, name: str, last: float | None) -> KeptSilence | None:
        fields = await self._redis.run("HGETALL", silence_key(name))
        if "silence" not in fields:
            return None
        return KeptSilence(
            silence=Silence.model_validate_json(fields["silence"]),
            ended=SilenceEnded.model_validate_json(fields["ended"]) if "ended" in fields else None,
            suppressed=int(fields.get("suppressed", 0)),
            last_suppressed_at=from_millis(int(float(last))) if last is not None else None,
        )

    async def newest(self) -> str:
        """Return the id of the newest line of the stream."""
        found = await self._redis.run("XREVRANGE", STREAM, "+", "-", "COUNT", 1)
        return str(found[0][0]) if found else "0"

    async def follow(self, after: str) -> AsyncIterator[StreamEntry | None]:
        """Yield what is written after a line, for ever; None now and then while nothing is.

        Raises:
            UnavailableError: the store does not answer.
        """
        while True:
            block_ms = _BLOCK // timedelta(milliseconds=1)
            found = await self._redis.run("XREAD", "COUNT", _STREAM_BATCH, "BLOCK", block_ms, "STREAMS", STREAM, after)
            for line, fields in found[0][1] if found else ():
                after = line
                yield StreamEntry(id=line, type=fields["type"], body=fields["body"])
            if not found:
                yield None

    async def _one(self, model: type[M], key: str) -> M | None:
        text = await self._redis.run("GET", key)
        return model.model_validate_json(text) if text else None

    async def _all(self, model: type[M], key: str) -> list[M]:
        found = await self._redis.run("HGETALL", key)
        return [model.model_validate_json(text) for text in found.values()]


def _place(topic: str, partition: int) -> str:
    return f"{topic}/{partition}"
