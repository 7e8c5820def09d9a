"""What a message changes in the read model, as the store's own commands. Pure; where they are kept is told here alone.

Keys: `sre:api:incidents` (a set ordered by opening), `sre:api:incident:<id>`, and under an incident's id its
decisions, evidence and report; the newest decisions of all; a capped stream of these, for live readers; the playbook in
force, and what became of its file.
`sre:api:stops`, the stops in force by their keys.
`sre:api:score-days` (a set ordered by day), `sre:api:score:<day>` with how often a rule was scored on it.
`sre:api:silences` (a set ordered by expiry), `sre:api:silence:<id>` with what it suppressed, and when last.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta

from shared.contracts.evidence import Evidence
from shared.contracts.inbox import LONGEST_SILENCE, Silence, SilenceEnded
from shared.contracts.incidents import Decision, Incident, Reason
from shared.contracts.model import Message, body_of
from shared.contracts.playbooks import PlaybookInForce, PlaybookLoad
from shared.contracts.reports import Report
from shared.contracts.scores import SCORED, Score
from shared.contracts.stops import Stop
from shared.kernel.clock import to_millis

PREFIX = "sre:api:"
OFFSETS = f"{PREFIX}offsets"
INCIDENTS = f"{PREFIX}incidents"
OPEN = f"{PREFIX}incidents:open"
DECISIONS = f"{PREFIX}decisions"
STREAM = f"{PREFIX}stream"
PLAYBOOK = f"{PREFIX}playbook"
PLAYBOOK_LOAD = f"{PREFIX}playbook:load"
SILENCES = f"{PREFIX}silences"
STOPS = f"{PREFIX}stops"
SCORE_DAYS = f"{PREFIX}score-days"
SUPPRESSED_AT = f"{PREFIX}silences:suppressed-at"
_DECISIONS_KEPT = 2_000
_STREAM_KEPT = 10_000
_KEPT_SECONDS = 30 * 24 * 3600
_SILENCES_KEPT = timedelta(days=30)
_SCORES_KEPT = timedelta(days=30)
"""As long as the topic of decisions keeps what they are counted from: read anew, they are the same."""
Change = tuple[str, ...]


def incident_key(incident: str) -> str:
    """Return where an incident is kept."""
    return f"{PREFIX}incident:{incident}"


def decisions_key(incident: str) -> str:
    """Return where an incident's decisions are kept, by their ids."""
    return f"{PREFIX}decisions:{incident}"


def evidence_key(incident: str) -> str:
    """Return where an incident's evidence is kept, by its ids."""
    return f"{PREFIX}evidence:{incident}"


def report_key(incident: str) -> str:
    """Return where an incident's report is kept."""
    return f"{PREFIX}report:{incident}"


def silence_key(silence: str) -> str:
    """Return where a silence is kept: itself, how it was ended, and how many decisions named it."""
    return f"{PREFIX}silence:{silence}"


def score_key(day: str) -> str:
    """Return where it is kept how often which rule was scored, and how, on a day."""
    return f"{PREFIX}score:{day}"


def with_counts(scores: Mapping[str, Score], counts: Mapping[str, str]) -> dict[str, Score]:
    """Return scores by rule with what a day's key holds counted in."""
    after = dict(scores)
    for name, times in counts.items():
        rule, _, reason = name.rpartition("/")
        after[rule] = after.get(rule, Score()).with_more(Reason(reason), times=int(times))
    return after


def single_id(message: Message) -> str:
    """Return the id under which a message is one however often it was written; empty where each version counts."""
    return message.id if isinstance(message, Decision) else ""


def changes_of(message: Message) -> list[Change]:
    """Return what a message changes; nothing for what the read model does not hold."""
    match message:
        case Incident():
            return [*_incident(message), _streamed(message)]
        case Decision():
            return [*_decision(message), _streamed(message)]
        case Evidence():
            return list(_kept(evidence_key(message.incident), message))
        case Report():
            return [("SET", report_key(message.incident), _text(message)), _streamed(message)]
        case _:
            return list(_in_force(message))


def _in_force(message: Message) -> Iterator[Change]:
    match message:
        case PlaybookInForce():
            yield "SET", PLAYBOOK, _text(message)
        case PlaybookLoad():
            yield "SET", PLAYBOOK_LOAD, _text(message)
        case Stop():
            yield ("HSET", STOPS, message.key, _text(message)) if message.holds else ("HDEL", STOPS, message.key)
        case Silence():
            yield from _silence(message)
        case SilenceEnded():
            yield from _silence_field(message.silence, "ended", message)
        case _:
            pass


def _incident(incident: Incident) -> Iterator[Change]:
    score = str(to_millis(incident.opened_at))
    yield "SET", incident_key(incident.id), _text(incident)
    yield "ZADD", INCIDENTS, score, incident.id
    yield ("ZREM", OPEN, incident.id) if incident.phase.is_final else ("ZADD", OPEN, score, incident.id)


def _decision(decision: Decision) -> Iterator[Change]:
    yield "LPUSH", DECISIONS, _text(decision)
    yield "LTRIM", DECISIONS, "0", str(_DECISIONS_KEPT - 1)
    if decision.incident is not None:
        yield from _kept(decisions_key(decision.incident), decision)
    if decision.reason is Reason.SILENCED:
        yield "HINCRBY", silence_key(decision.suppressed_by), "suppressed", "1"
        yield "ZADD", SUPPRESSED_AT, "GT", str(to_millis(decision.at)), decision.suppressed_by
    if decision.reason in SCORED:
        yield from _scored(decision, decision.at.date())


def _scored(decision: Decision, day: date) -> Iterator[Change]:
    key, oldest = score_key(day.isoformat()), (day - _SCORES_KEPT).toordinal()
    over = datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) + _SCORES_KEPT
    yield "HINCRBY", key, f"{decision.rule}/{decision.reason.value}", "1"
    yield "EXPIREAT", key, str(to_millis(over) // 1000)
    yield "ZADD", SCORE_DAYS, str(day.toordinal()), day.isoformat()
    yield "ZREMRANGEBYSCORE", SCORE_DAYS, "-inf", f"({oldest}"


def _silence(silence: Silence) -> Iterator[Change]:
    forgotten = f"({to_millis(silence.at - _SILENCES_KEPT)}"
    yield from _silence_field(silence.id, "silence", silence)
    yield "ZADD", SILENCES, str(to_millis(silence.expires_at)), silence.id
    yield "ZREMRANGEBYSCORE", SILENCES, "-inf", forgotten
    yield "ZREMRANGEBYSCORE", SUPPRESSED_AT, "-inf", forgotten


def _silence_field(silence: str, field: str, message: Silence | SilenceEnded) -> Iterator[Change]:
    yield "HSET", silence_key(silence), field, _text(message)
    yield "EXPIRE", silence_key(silence), str((LONGEST_SILENCE + _SILENCES_KEPT) // timedelta(seconds=1))


def _kept(key: str, message: Message) -> Iterator[Change]:
    yield "HSET", key, message.id, _text(message)
    yield "EXPIRE", key, str(_KEPT_SECONDS)


def _streamed(message: Message) -> Change:
    return "XADD", STREAM, "MAXLEN", "~", str(_STREAM_KEPT), "*", "type", message.TYPE, "body", _text(message)


def _text(message: Message) -> str:
    return body_of(message).decode()
