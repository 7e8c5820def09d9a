"""Tallies against what they mean, said once more without any state: for every order and every time of telling."""

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from services.decider.core.language import RuleWords
from services.decider.core.tallies import Tally, lacking, with_finding, with_observation
from shared.contracts.inbox import Finding, Observation
from shared.contracts.incidents import Reason
from tests.unit.services.decider.core.build import at, container, finding_on

MOMENTS = st.lists(st.integers(0, 120), max_size=10, unique=True)
POINTS = st.lists(
    st.tuples(st.integers(0, 120), st.integers(0, 3)), min_size=1, max_size=10, unique_by=lambda one: one[0]
)
HELD_FOR, WITHIN = 30, 40


def words(**said: object) -> RuleWords:
    return RuleWords.model_validate({"name": "one", "signal": "container", "ladder": [{"action": "escalate"}], **said})


def found(seconds: int, **fields: object) -> Finding:
    return finding_on(container(seconds=seconds, **fields), "one")  # type: ignore[arg-type]


def seen(seconds: int, *, part: str, holds: bool) -> Observation:
    signal = container(reason=part, seconds=seconds)
    return Observation(
        id=f"seen-{part}-{seconds}",
        at=signal.at,
        workload=signal.workload,
        rule="one",
        playbook="p",
        part=part,
        holds=holds,
        signal=signal,
    )


def after_all(entries: Sequence[Finding | Observation], asked: RuleWords, *, now: int | None = None) -> Tally:
    """Return the tally after all entries in this order; each comes at its own moment where no other is said."""
    tally = Tally()
    for entry in entries:
        moment = entry.at if now is None else at(now)
        take = with_finding if isinstance(entry, Finding) else with_observation
        tally = take(tally, entry, words=asked, now=moment)  # type: ignore[arg-type] - each its own kind
    return tally


@given(POINTS)
def test_different_values_count_that_lie_within_the_window_of_the_latest(points: list[tuple[int, int]]) -> None:
    asked = words(window={"count": 3, "distinct": "restarts", "within": f"{WITHIN}s"})
    tally = after_all([found(moment, restarts=value) for moment, value in points], asked, now=200)
    latest = max(moment for moment, _ in points)
    inside = {value for moment, value in points if latest - moment < WITHIN}
    assert (lacking(tally, words=asked, now=at(200)) is None) == (len(inside) >= 3)


@given(POINTS)
def test_a_rate_is_the_increase_over_the_window_whatever_the_order(points: list[tuple[int, int]]) -> None:
    asked = words(window={"rate": 4, "of": "restarts", "per": f"{WITHIN}s", "within": f"{WITHIN}s"})
    tally = after_all([found(moment, restarts=value) for moment, value in points], asked, now=200)
    latest = max(moment for moment, _ in points)
    inside = [value for moment, value in sorted(points) if latest - moment < WITHIN]
    grown = sum(later - earlier if later >= earlier else later for earlier, later in pairwise(inside))
    assert (lacking(tally, words=asked, now=at(200)) is None) == (grown >= 4)


@given(st.dictionaries(st.integers(0, 120), st.booleans(), min_size=1, max_size=12), st.integers(0, 60))
def test_for_is_over_when_it_has_held_since_the_last_time_it_did_not(told: dict[int, bool], later: int) -> None:
    asked = words(**{"for": f"{HELD_FOR}s"})
    moments = sorted(told)
    entries = [found(one) if told[one] else seen(one, part="for", holds=False) for one in moments]
    tally, now = after_all(entries, asked), moments[-1] + later
    ends = [one for one in moments if not told[one]]
    run = [one for one in moments if told[one] and one > max(ends, default=-1)]
    missing = lacking(tally, words=asked, now=at(now))
    assert (missing is None) == bool(run and now - run[0] >= HELD_FOR)
    if run and missing is not None:
        assert (missing.reason, missing.until) == (Reason.HELD_TOO_SHORT, at(run[0] + HELD_FOR))


@given(MOMENTS, MOMENTS, st.randoms(use_true_random=False))
def test_what_came_before_counts_whatever_the_order_of_telling(
    troubles: list[int], partners: list[int], random: st.DataObject
) -> None:
    asked = words(after={"signal": "event", "within": f"{WITHIN}s"}, window={"within": "200s"})
    entries = [*(found(one) for one in troubles), *(seen(one, part="after", holds=True) for one in partners)]
    random.shuffle(entries)  # type: ignore[attr-defined] - hypothesis' own Random
    tally = after_all(entries, asked, now=200)
    preceded = any(0 <= trouble - partner <= WITHIN for trouble in troubles for partner in partners)
    assert (lacking(tally, words=asked, now=at(200)) is None) == preceded


@given(MOMENTS, MOMENTS, st.randoms(use_true_random=False))
def test_what_stays_away_is_missed_whatever_the_order_of_telling(
    troubles: list[int], partners: list[int], random: st.DataObject
) -> None:
    asked = words(without={"signal": "event", "within": f"{WITHIN}s"})
    entries = [*(found(one) for one in troubles), *(seen(one, part="without", holds=True) for one in partners)]
    random.shuffle(entries)  # type: ignore[attr-defined] - hypothesis' own Random
    tally = after_all(entries, asked, now=120)
    unanswered = [trouble for trouble in troubles if not any(0 <= partner - trouble <= WITHIN for partner in partners)]
    missing = lacking(tally, words=asked, now=at(120))
    assert missing is not None
    assert missing.reason is (Reason.STILL_AWAITED if unanswered else Reason.CAME_IN_TIME)
    assert (lacking(tally, words=asked, now=at(120 + WITHIN)) is None) == bool(unanswered)


def test_of_each_different_value_one_signal_is_kept() -> None:
    asked = words(window={"count": 9, "distinct": "restarts", "within": "10m"})
    tally = after_all([found(moment, restarts=moment % 2) for moment in range(20)], asked)
    assert [hit.value for hit in tally.hits] == ["0", "1"]
