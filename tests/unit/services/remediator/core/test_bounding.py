"""What budgets, quotas and ranges allow: which are about the pods, what is left of them, what would be refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.bounding import (
    Size,
    barred_by,
    budgets_left,
    defaults_of,
    is_scoped,
    quotas_left,
    words_of_quota,
)
from services.remediator.core.rollouts import Rollout
from shared.contracts.predictions import BudgetLeft, QuotaLeft
from tests.unit.services.remediator.core.clusters import budget, limits, pod, quota, spec

MEBIBYTE = 1 << 20


def expression(operator: str, key: str = "app", *values: str) -> Any:
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "is_about"),
    [
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "front"}}, False),
        ({}, True),
        (False, False),
        (expression("In", "app", "web", "api"), True),
        (expression("In", "app", "api"), False),
        (expression("NotIn", "app", "api"), True),
        (expression("NotIn", "app", "web"), False),
        (expression("NotIn", "tier", "web"), True),
        (expression("Exists"), True),
        (expression("Exists", "tier"), False),
        (expression("DoesNotExist"), False),
        (expression("DoesNotExist", "tier"), True),
        ({"matchLabels": {"app": "web"}, **expression("Exists", "tier")}, False),
    ],
)
def test_a_budget_is_about_the_pods_that_it_selects(selector: Any, is_about: bool) -> None:
    assert bool(list(budgets_left([budget(selector=selector)], [pod("web-1")], fewer=0, asked=False))) is is_about


@pytest.mark.parametrize(("fewer", "lowest"), [(0, 3), (2, 1), (9, 0)])
def test_a_budget_is_left_with_what_the_change_leaves(fewer: int, lowest: int) -> None:
    (left,) = budgets_left([budget()], [pod("web-1")], fewer=fewer, asked=True)
    assert left == BudgetLeft(name="web-pdb", wanted=2, healthy=3, lowest=lowest, asked=True)


def words(mebibytes: int, *, limit: int = 0) -> Any:
    bound = {"memory": f"{limit}Mi"} if limit else None
    return words_of_quota(spec(limits=bound, memory=mebibytes), defaults={}, limits={})


def change(count: int, *, surge: int = 0) -> Rollout:
    return Rollout(pods=[pod(f"web-{number}") for number in range(count)], wanted=count, away=1, surge=surge)


@pytest.mark.parametrize(
    ("going", "hard", "expected"),
    [
        (change(3), {"requests.memory": "1Gi"}, ("requests.memory", "192Mi", "512Mi", True)),
        (change(3, surge=1), {"requests.memory": "1Gi"}, ("requests.memory", "256Mi", "512Mi", True)),
        (change(3), {"memory": "600Mi"}, ("memory", "192Mi", "88Mi", False)),
        (change(3, surge=2), {"pods": "5"}, ("pods", "2", "1", False)),
        (change(3), {"pods": "5"}, None),
        (change(0, surge=1), {"pods": "5"}, None),
        (change(3), {"requests.storage": "5"}, None),
    ],
)
def test_a_quota_is_held_against_the_most_that_is_needed_at_one_time(going: Rollout, hard: Any, expected: Any) -> None:
    used = {"requests.memory": "512Mi", "memory": "512Mi", "pods": "4"}
    left = list(quotas_left([quota(hard=hard, used=used)], going, Size(words(64), words(128))))
    names = ("resource", "needed", "left", "suffices")
    wanted = [QuotaLeft(name="compute", **dict(zip(names, expected, strict=True)))] if expected else []
    assert left == wanted


@given(st.integers(0, 5), st.integers(0, 5), st.tuples(st.integers(0, 500), st.integers(0, 500)), st.data())
def test_no_step_between_needs_more_of_a_quota_than_was_said(
    count: int, surge: int, size: tuple[int, int], data: Any
) -> None:
    before, after = size
    hard = {"requests.memory": "100Ti"}
    left = list(quotas_left([quota(hard=hard, used={})], change(count, surge=surge), Size(words(before), words(after))))
    said = defaults_of([limits(default={"memory": left[0].needed})], "default")["memory"] if left else Decimal()
    new = data.draw(st.integers(0, count))
    old = data.draw(st.integers(0, min(count, count + min(surge, count) - new)))
    assert (new * after + old * before - count * before) * MEBIBYTE <= said


@pytest.mark.parametrize("scoped", [{"scopes": ["BestEffort"]}, {"scopeSelector": {"matchExpressions": []}}])
def test_a_quota_with_scopes_is_not_judged(scoped: Any) -> None:
    found = quota(hard={"pods": "1"}, used={}, **scoped)
    assert is_scoped(found)
    assert list(quotas_left([found], change(3, surge=1), Size(words(1), words(1)))) == []


def test_a_pod_counts_by_what_it_requests_and_what_limits_it() -> None:
    counted = words(64, limit=128)
    names = ("pods", "memory", "requests.memory", "limits.memory")
    assert [counted[name] for name in names] == [1, 64 * MEBIBYTE, 64 * MEBIBYTE, 128 * MEBIBYTE]


@pytest.mark.parametrize(
    ("kind", "limit", "barred"),
    [
        ("Container", "512Mi", []),
        ("Container", "513Mi", ["range sizes: container server: memory 513Mi is above 512Mi, new pods are refused"]),
        ("Pod", "513Mi", ["range sizes: pod: memory 513Mi is above 512Mi, new pods are refused"]),
        ("PersistentVolumeClaim", "513Mi", []),
    ],
)
def test_what_is_above_a_range_would_be_refused(kind: str, limit: str, barred: list[str]) -> None:
    ranges = [limits(kind, max={"memory": "512Mi", "cpu": "1"})]
    assert list(barred_by(ranges, spec(limits={"memory": limit}))) == barred
