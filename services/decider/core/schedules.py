"""Cron schedules in a time zone: whether a text is one, and at which moments it comes. Pure, whatever the machine."""

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import islice, pairwise

from cronsim import CronSim, CronSimError

from services.decider.core.zones import zone_named

MAX_CHARS = 100
_FIELDS = 5
_DAY = timedelta(days=1)
_SHIFTED_BY_AT_MOST = timedelta(hours=26)
"""The longest time that a place has ever skipped is a day; a start is looked for from before that."""
_ONCE_AT_LEAST_SINCE = datetime(2025, 1, 1, tzinfo=UTC)
"""Where the search begins for a first start; it goes on for 50 years."""
_EXPECTED: Mapping[str, str] = {
    "minute": "a minute from 0 to 59, such as 0, */15 or 0,30",
    "hour": "an hour from 0 to 23, such as 2, 1-4 or */6",
    "day-of-month": "a day that the months have, from 1 to 31, such as 1, 1-7 or L for the last",
    "month": "a month from 1 to 12 or JAN to DEC",
    "day-of-week": "a day of the week from 0 to 7 (0 and 7 are Sunday) or SUN to SAT, such as MON-FRI, SAT#2 or 5L",
}


class ScheduleError(ValueError):
    """Signal that a text is no schedule; it says what was expected."""


def check_schedule(text: str) -> None:
    """Refuse what is no schedule.

    Raises:
        ScheduleError: it has other than five fields, a field is wrong, or it never comes.
    """
    if len(text) > MAX_CHARS or len(text.split()) != _FIELDS:
        raise ScheduleError("expected five fields: minute, hour, day-of-month, month, day-of-week, as in '0 2 * * SAT'")
    try:
        starts = CronSim(text, _ONCE_AT_LEAST_SINCE)
    except (CronSimError, ValueError) as wrong:
        raise ScheduleError(_expected(str(wrong))) from wrong
    if next(starts, None) is None:
        raise ScheduleError("expected a schedule that comes within 50 years")


def latest_start(text: str, *, timezone: str, now: datetime, within: timedelta) -> datetime | None:
    """Return when a schedule came last, `now` included, if that was less than `within` ago.

    A start that the clocks skip comes at the end of what they skip; one that they pass twice comes the first time. So
    it is where minute and hour are named; where one begins with `*`, it comes by the time that really passes.
    """
    day, last = (now - within).date(), now.date()
    latest: datetime | None = None
    while day <= last:
        latest = max((start for start in _starts_on(text, timezone, day) if start <= now), default=latest)
        day += _DAY
    return latest if latest is not None and now - latest < within else None


def shortest_interval(text: str, *, timezone: str, most: int = 400) -> timedelta | None:
    """Return the shortest time between two of the first starts; None where there is one alone."""
    starts = islice(_starts(text, timezone, _ONCE_AT_LEAST_SINCE), most)
    return min((later - earlier for earlier, later in pairwise(starts)), default=None)


def says_days_twice(text: str) -> bool:
    """Tell whether a schedule names days of the month and of the week, of which either is enough."""
    _, _, day, _, weekday = text.split()
    return not day.startswith("*") and not weekday.startswith("*")


@lru_cache(maxsize=4096)
def _starts_on(text: str, timezone: str, day: date) -> tuple[datetime, ...]:
    """Return the starts on a day of UTC, in order; a log is read day by day, so that few are asked for at a time."""
    begin = datetime.combine(day, time(), tzinfo=UTC)
    found: set[datetime] = set()
    for start in _starts(text, timezone, begin - _SHIFTED_BY_AT_MOST):
        if start >= begin + _DAY:
            break
        found |= {start} if start >= begin else set()
    return tuple(sorted(found))


def _starts(text: str, timezone: str, since: datetime) -> Iterator[datetime]:
    for start in CronSim(text, since.astimezone(zone_named(timezone))):
        yield start.astimezone(UTC)


def _expected(problem: str) -> str:
    field = problem.removeprefix("Bad ")
    return f"expected {_EXPECTED.get(field, 'numbers, names, and *, /, - and , between them')}"
