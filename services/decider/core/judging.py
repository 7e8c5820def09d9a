"""What a case expects, held against the decisions that were made in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from services.decider.core.cases import Cases, ExpectWords
from services.decider.core.faults import Mark
from shared.contracts.incidents import Decision


@dataclass(frozen=True, slots=True)
class Made:
    """A decision as it was made in a case, `since` its beginning; `action` is that of the rung that it takes."""

    decision: Decision
    action: str
    since: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """One expectation of a case, where it stands, and whether it was met; `actual` says what was there instead."""

    case: str
    mark: Mark
    expected: str
    actual: str
    met: bool


def judged(cases: Cases, place: int, made: Sequence[Made]) -> list[Verdict]:
    """Return the verdict on each expectation of a case."""
    return [*_in_order(cases, place, made), *_nowhere(cases, place, made)]


def words_of(expected: ExpectWords) -> str:
    """Return an expectation as a person writes it."""
    said = expected.model_dump(mode="json", exclude_unset=True)
    return " ".join(f"{name}={value}" for name, value in said.items() if value is not None)


def told(made: Made) -> str:
    """Return a decision in the words in which it can be expected."""
    decision = made.decision
    step = f" step={decision.step} attempt={decision.attempt}" if decision.step is not None else ""
    action = f" action={made.action}" if made.action else ""
    return f"reason={decision.reason.value} rule={decision.rule}{step}{action} at={seconds(made.since)}"


def seconds(length: timedelta) -> str:
    """Return a length of time in the seconds in which a case counts."""
    return f"{length.total_seconds():g}s"


def _in_order(cases: Cases, place: int, made: Sequence[Made]) -> Iterator[Verdict]:
    """Hold each expectation against the decisions that come after the one that met the expectation before."""
    case, begin = cases.words.cases[place], 0
    for number, expected in enumerate(case.expect):
        found = next((at for at in range(begin, len(made)) if _meets(made[at], expected)), None)
        rest = "; ".join(told(one) for one in made[begin:]) or "no further decision"
        yield Verdict(
            case=case.name,
            mark=cases.place_of(place, "expect", number),
            expected=words_of(expected),
            actual=rest if found is None else told(made[found]),
            met=found is not None,
        )
        begin = begin if found is None else found + 1


def _nowhere(cases: Cases, place: int, made: Sequence[Made]) -> Iterator[Verdict]:
    case = cases.words.cases[place]
    for number, unwanted in enumerate(case.expect_none):
        found = next((told(one) for one in made if _meets(one, unwanted)), None)
        yield Verdict(
            case=case.name,
            mark=cases.place_of(place, "expect_none", number),
            expected=f"none of {words_of(unwanted)}",
            actual=found or "none",
            met=found is None,
        )


def _meets(made: Made, expected: ExpectWords) -> bool:
    decision = made.decision
    wanted: list[tuple[object, object]] = [
        (expected.reason, decision.reason),
        (expected.rule, decision.rule),
        (expected.step, decision.step),
        (expected.attempt, decision.attempt),
        (expected.action, made.action),
        (expected.workload, decision.workload.key),
        (expected.at, made.since),
        (expected.suppressed_by, decision.suppressed_by),
    ]
    says = expected.detail is None or expected.detail in decision.detail
    return says and all(want is None or want == found for want, found in wanted)
