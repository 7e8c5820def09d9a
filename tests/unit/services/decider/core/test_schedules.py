"""Schedules: at which moments they come, also where clocks skip an hour or pass one twice, and what is none."""

import time
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path

import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.schedules import (
    MAX_CHARS,
    ScheduleError,
    check_schedule,
    latest_start,
    says_days_twice,
    shortest_interval,
)
from services.decider.core.zones import zone_named, zone_names

BERLIN = "Europe/Berlin"
WEEK = timedelta(days=7)
DAY = timedelta(days=1)


def latest(schedule: str, moment: str, *, zone: str = BERLIN, within: timedelta = WEEK) -> str:
    """Return the latest start before a moment of UTC."""
    now = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    found = latest_start(schedule, timezone=zone, now=now, within=within)
    return f"{found:%Y-%m-%d %H:%M}" if found is not None else ""


@pytest.mark.parametrize(
    ("schedule", "now", "start"),
    [
        ("0 2 * * SAT", "2026-01-03 01:00", "2026-01-03 01:00"),  # winter: UTC+1
        ("0 2 * * 6", "2026-07-04 00:00", "2026-07-04 00:00"),  # summer: UTC+2
        ("0 2 * * sat", "2026-01-03 00:59", ""),  # the Saturday before is a week ago, and no longer within it
        ("0 2 * * MON-FRI", "2026-01-04 12:00", "2026-01-02 01:00"),
        ("0 2 1,15 * *", "2026-01-16 00:00", "2026-01-15 01:00"),
        ("*/20 * * * *", "2026-01-01 10:59", "2026-01-01 10:40"),
        ("0 2 L * *", "2026-02-28 01:00", "2026-02-28 01:00"),
        ("0 2 * * SAT#1", "2026-01-04 01:00", "2026-01-03 01:00"),
    ],
)
def test_a_schedule_is_meant_in_its_time_zone(schedule: str, now: str, start: str) -> None:
    assert latest(schedule, now, within=timedelta(days=6, hours=23, minutes=59)) == start


@pytest.mark.parametrize(
    ("schedule", "now", "start"),
    [
        # on 2026-03-29 the clocks of Berlin go from 02:00 to 03:00, which is 01:00 of UTC
        ("30 2 * * *", "2026-03-29 00:59", "2026-03-28 01:30"),
        ("30 2 * * *", "2026-03-29 01:00", "2026-03-29 01:00"),
        ("30 2 * * *", "2026-03-29 12:00", "2026-03-29 01:00"),
        ("30 2 * * *", "2026-03-30 00:30", "2026-03-30 00:30"),
        ("0 3 * * *", "2026-03-29 01:00", "2026-03-29 01:00"),
        ("30 * * * *", "2026-03-29 01:00", "2026-03-29 00:30"),  # by the time that really passes
        # on 2026-10-25 they go from 03:00 back to 02:00, which is 01:00 of UTC
        ("30 2 * * *", "2026-10-25 00:29", "2026-10-24 00:30"),
        ("30 2 * * *", "2026-10-25 00:30", "2026-10-25 00:30"),
        ("30 2 * * *", "2026-10-25 01:15", "2026-10-25 00:30"),
        ("30 2 * * *", "2026-10-25 01:30", "2026-10-25 00:30"),  # the second half past two is no second start
        ("30 2 * * *", "2026-10-26 01:30", "2026-10-26 01:30"),
        ("30 * * * *", "2026-10-25 01:30", "2026-10-25 01:30"),
    ],
)
def test_what_the_clocks_skip_comes_when_they_go_on_and_what_they_pass_twice_comes_once(
    schedule: str, now: str, start: str
) -> None:
    assert latest(schedule, now) == start


def test_a_day_that_a_place_skipped_starts_with_the_next() -> None:
    assert latest("0 2 30 12 *", "2011-12-30 12:00", zone="Pacific/Apia") == "2011-12-30 10:00"


def test_a_start_as_long_ago_as_asked_for_is_over() -> None:
    assert latest("0 2 * * *", "2026-01-01 02:59", zone="UTC", within=timedelta(hours=1)) == "2026-01-01 02:00"
    assert latest("0 2 * * *", "2026-01-01 03:00", zone="UTC", within=timedelta(hours=1)) == ""


SPRING = st.datetimes(datetime(2026, 3, 20), datetime(2026, 4, 5), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds
AUTUMN = st.datetimes(datetime(2026, 10, 20), datetime(2026, 11, 2), timezones=st.just(UTC))  # noqa: DTZ001


@given(
    SPRING | AUTUMN,
    st.sampled_from(["30 2 * * *", "0 */3 * * *", "15 1 * * SUN", "0,45 2,3 * * *", "*/7 2 * * *"]),
    st.sampled_from([BERLIN, "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
)
def test_the_latest_start_is_the_last_of_all_that_came(now: datetime, schedule: str, zone: str) -> None:
    found = latest_start(schedule, timezone=zone, now=now, within=WEEK)
    assert found is None or now - WEEK < found <= now
    later = latest_start(schedule, timezone=zone, now=now + timedelta(minutes=1), within=WEEK)
    assert found is None or (later is not None and later >= found)
    if found is not None:
        assert latest_start(schedule, timezone=zone, now=found, within=WEEK) == found


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        ("", "expected five fields: minute, hour, day-of-month, month, day-of-week, as in '0 2 * * SAT'"),
        ("0 2 * *", "expected five fields"),
        ("0 0 2 * * SAT", "expected five fields"),
        ("@daily", "expected five fields"),
        ("1," * MAX_CHARS + "1 2 * * *", "expected five fields"),
        ("61 * * * *", "expected a minute from 0 to 59, such as 0, */15 or 0,30"),
        ("0 24 * * *", "expected an hour from 0 to 23, such as 2, 1-4 or */6"),
        ("0 2 32 * *", "expected a day that the months have, from 1 to 31"),
        ("0 0 30 2 *", "expected a day that the months have, from 1 to 31"),
        ("0 2 1 FEBRUARY *", "expected a month from 1 to 12 or JAN to DEC"),
        ("0 2 * * SAT-SUN", "expected a day of the week from 0 to 7"),
        ("0 2 * * 8", "expected a day of the week from 0 to 7"),
        ("0 0 */31 * MON#5", "expected a schedule that comes within 50 years"),
    ],
)
def test_what_is_no_schedule_is_refused_by_its_field_and_soon(schedule: str, told: str) -> None:
    begun = time.process_time()
    with pytest.raises(ScheduleError) as refused:
        check_schedule(schedule)
    assert str(refused.value).startswith(told)
    assert time.process_time() - begun < 1


@given(st.text("0123456789*/,-L#WSATUN ", max_size=40) | st.text(max_size=20))
def test_no_text_makes_it_stumble(text: str) -> None:
    try:
        check_schedule(text)
    except ScheduleError:
        return
    assert shortest_interval(text, timezone=BERLIN, most=3) is None or len(text.split()) == 5


def test_the_shortest_interval_is_that_between_two_starts() -> None:
    assert shortest_interval("0 2,5 * * *", timezone="UTC") == timedelta(hours=3)
    assert shortest_interval("0 2 * * SAT", timezone="UTC") == WEEK


def test_days_of_the_month_and_of_the_week_are_both_said() -> None:
    assert says_days_twice("0 2 1-7 * SAT")
    assert not says_days_twice("0 2 */2 * SAT")


@pytest.fixture
def wrong_machine(tmp_path: Path) -> Iterator[None]:
    """Be on a machine that knows nothing but that Berlin is where UTC is."""
    (tmp_path / "Europe").mkdir()
    utc = files(tzdata).joinpath("zoneinfo", "UTC").read_bytes()
    (tmp_path / "Europe" / "Berlin").write_bytes(utc)
    known = zoneinfo.TZPATH
    zoneinfo.reset_tzpath(to=[str(tmp_path)])
    zone_named.cache_clear()
    yield
    zoneinfo.reset_tzpath(to=list(known))


@pytest.mark.usefixtures("wrong_machine")
def test_time_zones_are_those_of_the_pinned_package_whatever_the_machine_says() -> None:
    summer = datetime(2026, 7, 1, tzinfo=UTC)
    assert zoneinfo.ZoneInfo.no_cache(BERLIN).utcoffset(summer) == timedelta(0)
    assert zone_named(BERLIN).utcoffset(summer) == timedelta(hours=2)


def test_every_zone_that_is_named_is_there() -> None:
    assert {zone_named(name).key for name in zone_names()} == zone_names()
    assert len(zone_names()) > 500


@pytest.mark.parametrize("name", ["Europe/Berln", "../zones", "/etc/passwd", "", "europe/berlin"])
def test_a_zone_that_is_not_there_is_not_looked_for(name: str) -> None:
    with pytest.raises(KeyError):
        zone_named(name)
