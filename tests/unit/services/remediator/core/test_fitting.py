"""Where new pods have room: never beyond what a node can give, and only on nodes that take them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.fitting import held_by, needs_of, not_judged, room_on, told
from tests.unit.services.remediator.core.clusters import node, pod, spec

MEBIBYTE = 1 << 20


def container(requests: Any = None, limits: Any = None, **more: Any) -> Any:
    return {"name": "c", "resources": {"requests": requests or {}, "limits": limits or {}}, **more}


def begins(cpu: str, **more: Any) -> Any:
    return container({"cpu": cpu}, **more)


ALWAYS = {"restartPolicy": "Always"}


@pytest.mark.parametrize(
    ("wanted", "needs"),
    [
        ({"containers": [begins("1"), begins("500m")]}, "1.5"),
        ({"containers": [begins("1")], "initContainers": [begins("3"), begins("2")]}, "3"),
        ({"containers": [begins("1")], "initContainers": [begins("1", **ALWAYS)]}, "2"),
        ({"containers": [begins("1")], "initContainers": [begins("1", **ALWAYS), begins("3")]}, "4"),
        ({"containers": [begins("1")], "initContainers": [begins("3"), begins("1", **ALWAYS)]}, "3"),
        ({"containers": [begins("1")], "overhead": {"cpu": "250m"}}, "1.25"),
        ({"containers": [container(limits={"cpu": "2"})]}, "2"),
        ({"containers": [container({"cpu": "1"}, {"cpu": "2"})]}, "1"),
        ({"containers": [container({"cpu": "no number"})]}, None),
        ({}, None),
    ],
)
def test_a_pod_needs_what_its_containers_request_together_or_one_that_begins_it(wanted: Any, needs: str | None) -> None:
    assert needs_of(wanted).get("cpu") == (Decimal(needs) if needs else None)


def test_what_is_not_said_is_the_namespaces_default() -> None:
    defaults = {"cpu": Decimal(1), "memory": Decimal(5)}
    assert needs_of({"containers": [begins("2")]}, defaults=defaults) == {"cpu": 2, "memory": 5}


AMOUNTS = st.integers(0, 4_000)


@given(
    can=st.tuples(AMOUNTS, AMOUNTS, st.integers(0, 12)),
    held=st.lists(st.tuples(AMOUNTS, AMOUNTS), max_size=12),
    wants=st.tuples(AMOUNTS, AMOUNTS),
)
def test_room_is_never_said_beyond_what_a_node_can_give(
    can: tuple[int, int, int], held: list[tuple[int, int]], wants: tuple[int, int]
) -> None:
    there = node(cpu=can[0], memory=can[1], pods=can[2])
    pods = [pod(f"p-{number}", cpu=cpu, memory=memory) for number, (cpu, memory) in enumerate(held)]
    wanted = spec(cpu=wants[0], memory=wants[1])
    room = room_on(there, wanted, needs=needs_of(wanted), held=pods)
    is_fitting = [
        sum(one[resource] for one in held) + count * wants[resource] <= can[resource] or not wants[resource]
        for count in (room,)
        for resource in (0, 1)
    ]
    assert room == 0 or (all(is_fitting) and len(held) + room <= can[2])
    more = room + 1
    assert any(sum(one[resource] for one in held) + more * wants[resource] > can[resource] for resource in (0, 1)) or (
        len(held) + more > can[2]
    )


TAINT = {"key": "dedicated", "value": "bank", "effect": "NoSchedule"}


@pytest.mark.parametrize(
    ("taints", "tolerations", "is_taken"),
    [
        ([TAINT], [], False),
        ([{**TAINT, "effect": "NoExecute"}], [], False),
        ([{**TAINT, "effect": "PreferNoSchedule"}], [], True),
        ([TAINT], [{"key": "dedicated", "value": "bank", "effect": "NoSchedule"}], True),
        ([TAINT], [{"key": "dedicated", "operator": "Equal", "value": "bank"}], True),
        ([TAINT], [{"key": "dedicated", "value": "other"}], False),
        ([TAINT], [{"key": "dedicated", "operator": "Exists"}], True),
        ([TAINT], [{"operator": "Exists"}], True),
        ([TAINT], [{"operator": "Exists", "effect": "NoExecute"}], False),
        ([TAINT, {**TAINT, "key": "other"}], [{"key": "dedicated", "operator": "Exists"}], False),
    ],
)
def test_a_node_whose_taints_are_not_tolerated_has_no_room(taints: Any, tolerations: Any, is_taken: bool) -> None:
    assert room_on(node(taints=taints, pods=1), {"tolerations": tolerations}, needs={}, held=()) == int(is_taken)


def test_a_node_that_takes_none_or_lacks_a_label_has_no_room() -> None:
    assert room_on(node(unschedulable=True), {}, needs={}, held=()) == 0
    assert room_on(node(labels={"zone": "a"}), {"nodeSelector": {"zone": "b"}}, needs={}, held=()) == 0
    assert room_on(node(labels={"zone": "b"}, pods=2), {"nodeSelector": {"zone": "b"}}, needs={}, held=()) == 2


def test_what_has_ended_or_is_gone_before_takes_no_room() -> None:
    ended = pod("done", node="a", cpu=900)
    ended["status"]["phase"] = "Succeeded"
    pods = [ended, pod("web-1", node="a", cpu=600), pod("web-2", node="a", cpu=300)]
    held = held_by(pods, without=[pods[1]])["a"]
    assert room_on(node(cpu=1000), {}, needs={"cpu": Decimal("0.35")}, held=held) == 2


def test_a_resource_that_a_node_does_not_have_is_no_room() -> None:
    assert room_on(node(cpu=1000), {}, needs={"nvidia.com/gpu": Decimal(1)}, held=()) == 0


APART: list[tuple[Any, list[str]]] = [
    ({"affinity": {"podAffinity": {}}}, ["affinity"]),
    (
        {"topologySpreadConstraints": [{}], "schedulingGates": [{}]},
        ["topologySpreadConstraints", "schedulingGates"],
    ),
    ({"volumes": [{"name": "d", "persistentVolumeClaim": {}}]}, ["volumes"]),
    ({"volumes": [{"name": "d", "emptyDir": {}}]}, []),
    ({"containers": [{"ports": [{"hostPort": 80}]}]}, ["hostPort"]),
    ({"affinity": {}}, []),
]


@pytest.mark.parametrize(("wanted", "apart"), APART)
def test_what_else_a_scheduler_weighs_is_named(wanted: Any, apart: list[str]) -> None:
    assert list(not_judged(wanted)) == apart


@pytest.mark.parametrize(
    ("resource", "amount", "words"),
    [
        ("memory", Decimal(64 * MEBIBYTE), "64Mi"),
        ("requests.memory", Decimal(-64 * MEBIBYTE), "-64Mi"),
        ("cpu", Decimal("0.25"), "250m"),
        ("cpu", Decimal(2), "2"),
        ("pods", Decimal(-1), "-1"),
    ],
)
def test_an_amount_is_told_as_people_write_it(resource: str, amount: Decimal, words: str) -> None:
    assert told(resource, amount) == words
