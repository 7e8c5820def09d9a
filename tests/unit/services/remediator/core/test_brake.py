"""The storm brake: no hour holds more healings than its budget, no more are open at once than may be."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.brake import (
    FORGOTTEN_AFTER,
    GO,
    HOUR,
    LOOK_AGAIN,
    Census,
    Limits,
    Line,
    Place,
    Scope,
    Spendings,
    Verdict,
    judge,
    share,
)
from services.remediator.core.urgency import severity_of
from shared.contracts.actions import Uncordon
from shared.contracts.commands import Command
from shared.contracts.incidents import Incident, Mode, Phase, Reason, Severity, StepRecord
from shared.contracts.refusals import Refusal
from shared.contracts.spendings import Spending
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.remediator.build import NOW, WEB, command

MANY = 1_000
FREE = Limits(
    per_hour=dict.fromkeys(Scope, MANY),
    at_once=dict.fromkeys((Scope.NODE, Scope.NAMESPACE, Scope.CLUSTER), MANY),
    namespace_percent=100,
    nodes_percent=100,
)
API = WorkloadRef(kind="Deployment", namespace="bank", name="api")
SHOP = WorkloadRef(kind="Deployment", namespace="shop", name="web")


def hourly(scope: Scope, limit: int) -> Limits:
    return replace(FREE, per_hour={**FREE.per_hour, scope: limit})


def at_once(scope: Scope, limit: int) -> Limits:
    return replace(FREE, at_once={**FREE.at_once, scope: limit})


def minutes(count: float) -> datetime:
    return NOW + timedelta(minutes=count)


def spending(name: str, *, at: float = 0, workload: WorkloadRef = WEB, node: str = "n1", **fields: object) -> Spending:
    told = {"id": f"spending-{name}", "at": minutes(at), "command": name, "incident": f"inc-{name}", "token": 1}
    return Spending.model_validate({**told, "workload": workload, "node": node, **fields})


def spent(*told: Spending) -> Spendings:
    all_of_them = Spendings()
    for one in told:
        all_of_them = all_of_them.with_told(one)
    return all_of_them


def verdict(
    spendings: Spendings,
    limits: Limits,
    *,
    workload: WorkloadRef = WEB,
    node: str = "n1",
    at: float = 30,
    line: Line | None = None,
    asked: Command | None = None,
    workloads: int = 10,
) -> Verdict:
    census = Census(place=Place(workload, node), workloads=workloads, nodes=10)
    return judge(spendings, asked or command("new"), limits=limits, census=census, now=minutes(at), line=line or Line())


TWO = spent(spending("a", at=0), spending("b", at=10))


@pytest.mark.parametrize(
    ("scope", "refusal"),
    [
        (Scope.WORKLOAD, Refusal.BUDGET_WORKLOAD),
        (Scope.NODE, Refusal.BUDGET_NODE),
        (Scope.NAMESPACE, Refusal.BUDGET_NAMESPACE),
        (Scope.CLUSTER, Refusal.BUDGET_CLUSTER),
    ],
)
def test_a_budget_that_is_spent_is_named_with_its_figures_and_when_it_is_free_again(
    scope: Scope, refusal: Refusal
) -> None:
    told = verdict(TWO, hourly(scope, 2))
    assert (told.refusal, told.figures) == (refusal, "2 of 2 in the last hour")
    assert told.retry_after == timedelta(minutes=30)
    assert verdict(TWO, hourly(scope, 3)) == GO
    assert verdict(TWO, hourly(scope, 2), at=60) == GO


@pytest.mark.parametrize(
    ("scope", "elsewhere"),
    [
        (Scope.WORKLOAD, {"workload": API}),
        (Scope.NODE, {"node": "n2"}),
        (Scope.NODE, {"node": ""}),
        (Scope.NAMESPACE, {"workload": SHOP}),
    ],
)
def test_a_budget_is_of_one_place_alone(scope: Scope, elsewhere: dict[str, object]) -> None:
    assert verdict(TWO, hourly(scope, 2), **elsewhere) == GO  # type: ignore[arg-type] - by their names


@pytest.mark.parametrize(
    ("scope", "refusal"),
    [
        (Scope.NODE, Refusal.AT_ONCE_NODE),
        (Scope.NAMESPACE, Refusal.AT_ONCE_NAMESPACE),
        (Scope.CLUSTER, Refusal.AT_ONCE_CLUSTER),
    ],
)
def test_only_so_many_may_be_open_at_once(scope: Scope, refusal: Refusal) -> None:
    told = verdict(TWO, at_once(scope, 2))
    assert (told.refusal, told.figures, told.retry_after) == (refusal, "2 of 2 at once", LOOK_AGAIN)
    proven = TWO.with_incident(incident("a", Phase.HEALED))
    assert verdict(proven, at_once(scope, 2)) == GO


def test_what_an_incident_did_before_is_over_when_it_orders_anew() -> None:
    one_of_them = command("new", incident="inc-b")
    assert verdict(TWO, at_once(Scope.CLUSTER, 2), asked=one_of_them) == GO
    assert verdict(TWO, at_once(Scope.CLUSTER, 1), asked=one_of_them).figures == "1 of 1 at once"


def test_a_share_of_the_namespace_is_held_where_it_is_stricter_and_is_never_below_one() -> None:
    assert verdict(TWO, replace(at_once(Scope.NAMESPACE, 5), namespace_percent=20)).figures == "2 of 2 at once"
    assert verdict(TWO, replace(at_once(Scope.NAMESPACE, 1), namespace_percent=20)).figures == "2 of 1 at once"
    assert [share(50, total) for total in (0, 1, 2, 3, 4, 9)] == [1, 1, 1, 1, 2, 4]


def test_the_whole_of_a_namespace_is_no_limit_where_a_workload_has_several_healings_open() -> None:
    three = at_once(Scope.NAMESPACE, 3)
    assert verdict(TWO, replace(three, namespace_percent=100), workloads=1) == GO
    assert verdict(TWO, replace(three, namespace_percent=99), workloads=1).figures == "2 of 1 at once"


def test_only_a_share_of_the_nodes_is_touched_at_once() -> None:
    limits = replace(FREE, nodes_percent=20)
    two_nodes = spent(spending("a", node="n1"), spending("b", node="n2"))
    told = verdict(two_nodes, limits, node="n3")
    assert (told.refusal, told.figures) == (Refusal.AT_ONCE_NODES, "2 of 2 nodes at once")
    assert verdict(two_nodes, limits, node="n2") == GO
    assert verdict(two_nodes, limits, node="") == GO


def test_of_several_limits_the_one_that_lasts_longest_is_told() -> None:
    both = replace(hourly(Scope.CLUSTER, 2), at_once=at_once(Scope.NODE, 1).at_once)
    assert verdict(TWO, both).refusal is Refusal.BUDGET_CLUSTER


def test_what_undoes_a_harm_is_never_stopped() -> None:
    nothing = replace(FREE, per_hour=dict.fromkeys(Scope, 1), at_once=dict.fromkeys(FREE.at_once, 1))
    assert verdict(TWO, nothing, asked=command("undo", reverts="a")) == GO
    assert verdict(TWO, nothing, asked=command("ease", action=Uncordon())) == GO
    assert verdict(TWO, nothing).refusal is not None


def test_a_command_that_is_delivered_again_is_not_stopped_by_itself() -> None:
    assert verdict(TWO, hourly(Scope.CLUSTER, 2), asked=command("b")) == GO


def test_what_was_given_back_counts_nowhere() -> None:
    given = TWO.with_told(spending("b", at=11, given_back=True))
    assert verdict(given, hourly(Scope.CLUSTER, 2)) == GO
    assert verdict(given, at_once(Scope.CLUSTER, 2)) == GO
    assert given.open_count == 1


def test_what_a_leader_with_a_faster_clock_spent_counts() -> None:
    ahead = spent(spending("a", at=31), spending("b", at=40))
    assert verdict(ahead, hourly(Scope.CLUSTER, 2), at=30).refusal is Refusal.BUDGET_CLUSTER


def test_a_leader_that_is_over_gives_nothing_back_of_the_next_ones() -> None:
    taken_over = TWO.with_told(spending("b", at=12, token=2)).with_told(spending("b", at=13, given_back=True))
    assert verdict(taken_over, hourly(Scope.CLUSTER, 2)).refusal is Refusal.BUDGET_CLUSTER


def test_a_copy_of_what_was_given_back_frees_nothing_of_what_was_taken_again_since() -> None:
    given = spending("b", at=12, given_back=True)
    again = TWO.with_told(given).with_told(spending("b", at=13)).with_told(given)
    assert verdict(again, hourly(Scope.CLUSTER, 2)).refusal is Refusal.BUDGET_CLUSTER


def step(name: str, *, reverts: str = "") -> StepRecord:
    asked = command(name)
    return StepRecord(
        step=0, attempt=1, action=asked.action, command=name, reverts=reverts, dry_run=False, ordered_at=NOW
    )


def incident(name: str, phase: Phase, *steps: StepRecord) -> Incident:
    return Incident(
        id=f"inc-{name}",
        at=NOW,
        workload=WEB,
        rule="crash-loop",
        playbook="hash",
        severity=Severity.WARNING,
        mode=Mode.LIVE,
        summary="",
        phase=phase,
        reason=Reason.ACTION_ORDERED,
        steps=steps or (step(name),),
        signal_at=NOW,
        opened_at=NOW,
    )


@pytest.mark.parametrize(
    ("state", "is_open"),
    [
        (incident("a", Phase.ACTING), True),
        (incident("a", Phase.VERIFYING), True),
        (incident("a", Phase.REVERTING, step("a"), step("undo", reverts="a")), True),
        (incident("a", Phase.WAITING), False),
        (incident("a", Phase.HEALED), False),
        (incident("a", Phase.ESCALATED), False),
        (incident("a", Phase.ACTING, step("a"), step("next")), False),
        (incident("a", Phase.WAITING, step("before")), True),  # told before the command was ordered
        (incident("a", Phase.HEALED, step("before")), True),
        (incident("other", Phase.HEALED, step("a")), True),
    ],
)
def test_a_healing_is_open_until_its_incident_tells_that_it_is_over(state: Incident, is_open: bool) -> None:
    assert spent(spending("a")).with_incident(state).open_count == int(is_open)


def test_a_healing_of_which_nothing_more_is_told_is_not_open_for_ever() -> None:
    assert not spent(spending("a")).at(NOW + FORGOTTEN_AFTER).by_command
    assert spent(spending("a")).at(NOW + FORGOTTEN_AFTER - timedelta(seconds=1)).by_command


def waiting(*asked: Command, limits: Limits, spendings: Spendings, at: float = 30) -> tuple[Line, list[timedelta]]:
    line = Line()
    waits: list[timedelta] = []
    for one in asked:
        told = verdict(spendings, limits, at=at, line=line, asked=one)
        line = line.after(one, told, minutes(at))
        waits.append(told.retry_after or timedelta(0))
    return line, waits


def asked(name: str, severity: Severity | None = Severity.WARNING) -> Command:
    return command(f"cmd-{name}", incident=f"inc-{name}", severity=severity)


def test_who_waits_gets_the_places_in_the_order_in_which_they_come_free() -> None:
    limits, line_of_five = hourly(Scope.CLUSTER, 2), [asked(name) for name in "vwxyz"]
    _, waits = waiting(*line_of_five, limits=limits, spendings=TWO)
    assert [wait // timedelta(minutes=1) for wait in waits] == [30, 40, 90, 100, 150]


def test_the_more_severe_stands_before_who_came_earlier() -> None:
    line, _ = waiting(asked("a", Severity.INFO), asked("b"), limits=hourly(Scope.CLUSTER, 2), spendings=TWO)
    told = verdict(TWO, hourly(Scope.CLUSTER, 2), line=line, asked=asked("c", Severity.CRITICAL))
    assert told.retry_after == timedelta(minutes=30)
    assert verdict(TWO, hourly(Scope.CLUSTER, 2), line=line, asked=asked("d", None)).figures.endswith(
        "1 before it in line"
    )


def test_who_does_not_come_loses_its_place() -> None:
    line, _ = waiting(asked("a"), limits=hourly(Scope.CLUSTER, 2), spendings=TWO)
    assert line.ahead_of(asked("b"), "budget-cluster all", minutes(61)) == 1
    assert line.ahead_of(asked("b"), "budget-cluster all", minutes(62)) == 0
    assert line.ahead_of(asked("b"), "budget-cluster all", minutes(30)) == 1
    assert Line().ahead_of(asked("b"), "budget-cluster all", minutes(30)) == 0


def test_a_command_without_a_severity_is_neither_first_nor_last() -> None:
    assert severity_of(asked("a", None)) is Severity.WARNING


@dataclass(frozen=True)
class Ask:
    """One command at a place and a moment, which the API server may refuse afterwards; it may be delivered again."""

    name: int
    workload: int
    node: int
    at: int
    is_refused: bool


ASKS = st.lists(
    st.builds(
        Ask,
        name=st.integers(0, 40),
        workload=st.integers(0, 3),
        node=st.integers(0, 3),
        at=st.integers(0, 12_000),
        is_refused=st.booleans(),
    ),
    max_size=60,
)
WORKLOADS = [WorkloadRef(kind="Deployment", namespace=f"ns-{one % 2}", name=f"w{one}") for one in range(4)]
TIGHT = Limits(
    per_hour={Scope.WORKLOAD: 2, Scope.NODE: 3, Scope.NAMESPACE: 4, Scope.CLUSTER: 6},
    at_once={Scope.NODE: 3, Scope.NAMESPACE: 5, Scope.CLUSTER: 7},
    namespace_percent=50,
    nodes_percent=50,
)


def carried_out(asks: Sequence[Ask], limits: Limits) -> tuple[list[Verdict], list[Spendings], list[Spending]]:
    """Do as the remediator does, at whatever moments its clocks tell."""
    kept, told, verdicts, states = Spendings(), list[Spending](), list[Verdict](), list[Spendings]()
    for ask in asks:
        now = NOW + timedelta(seconds=ask.at)
        place = Place(WORKLOADS[ask.workload], f"n{ask.node}" if ask.node else "")
        census = Census(place=place, workloads=4, nodes=4)
        states.append(kept)
        verdicts.append(judge(kept, command(f"c{ask.name}"), limits=limits, census=census, now=now, line=Line()))
        if verdicts[-1].refusal is None:
            took = spending(f"c{ask.name}", workload=place.workload, node=place.node).model_copy(update={"at": now})
            given = [took.model_copy(update={"given_back": True})] if ask.is_refused else []
            for one in (took, *given):
                told.append(one)
                kept = kept.with_told(one)
    return verdicts, [*states, kept], told


def acted(kept: Spendings) -> list[tuple[datetime, Place]]:
    return [(one.at, one.place) for one in kept.others("")]


def names_of(scope: Scope, places: Iterable[Place]) -> set[str]:
    return {name for place in places if (name := place.of(scope))}


@given(ASKS)
def test_no_sliding_hour_holds_more_than_a_budget_whatever_the_clocks_tell(asks: list[Ask]) -> None:
    _, states, _ = carried_out(asks, replace(TIGHT, at_once=FREE.at_once, namespace_percent=100, nodes_percent=100))
    done = acted(states[-1])
    for scope, limit in TIGHT.per_hour.items():
        for name in names_of(scope, (place for _, place in done)):
            moments = [at for at, place in done if place.of(scope) == name]
            assert all(sum(begin <= at < begin + HOUR for at in moments) <= limit for begin in moments)


@given(ASKS)
def test_never_more_are_open_at_once_than_may_be(asks: list[Ask]) -> None:
    _, states, _ = carried_out(asks, TIGHT)
    for kept in states:
        places = [place for _, place in acted(kept)]
        for scope, limit in TIGHT.at_once.items():
            most = min(limit, 2) if scope is Scope.NAMESPACE else limit
            assert all(sum(place.of(scope) == name for place in places) <= most for name in names_of(scope, places))
        assert len(names_of(Scope.NODE, places)) <= 2


@given(ASKS, st.integers(0, 60))
def test_a_leader_that_begins_anywhere_judges_as_the_one_before(asks: list[Ask], count: int) -> None:
    verdicts, states, told = carried_out(asks, TIGHT)
    place = min(count, len(asks))
    begun = spent(*told[: _told_before(asks, verdicts, place)])
    assert begun == states[place]


def _told_before(asks: Sequence[Ask], verdicts: Sequence[Verdict], place: int) -> int:
    return sum(
        1 + ask.is_refused for ask, one in zip(asks[:place], verdicts[:place], strict=True) if one.refusal is None
    )


@given(ASKS)
def test_giving_back_never_leaves_less_than_nothing(asks: list[Ask]) -> None:
    _, states, told = carried_out(asks, TIGHT)
    for one in told:
        twice = states[-1].with_told(one.model_copy(update={"given_back": True}))
        twice = twice.with_told(one.model_copy(update={"given_back": True}))
        assert 0 <= len(twice.others("")) <= len(states[-1].others(""))
        assert twice.open_count >= 0


@given(ASKS, st.integers(0, 3), st.integers(0, 12_000))
def test_who_comes_when_it_was_told_to_is_not_told_the_same_again(asks: list[Ask], workload: int, at: int) -> None:
    _, states, _ = carried_out(asks, replace(TIGHT, at_once=FREE.at_once, namespace_percent=100, nodes_percent=100))
    limits, now = replace(FREE, per_hour=TIGHT.per_hour), NOW + timedelta(seconds=at)
    census = Census(place=Place(WORKLOADS[workload], "n1"), workloads=10, nodes=10)
    told = judge(states[-1], command("new"), limits=limits, census=census, now=now, line=Line())
    if told.retry_after is not None:
        later = now + told.retry_after
        again = judge(states[-1], command("new"), limits=limits, census=census, now=later, line=Line())
        assert again.refusal != told.refusal
