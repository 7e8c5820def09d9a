"""Where stops may stand over a workload, and what an object says there."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.stopping import (
    OVER_ALL,
    STOP_ANNOTATION,
    Place,
    Word,
    place_of,
    places_over,
    word_at,
)
from shared.contracts.stops import EVERYTHING, Stop, Way
from shared.contracts.workloads import WorkloadRef
from tests.unit.services.remediator.build import WEB

CONFIG_MAP, ANNOTATION = OVER_ALL
NODE = WorkloadRef(kind="Node", name="node-1")


def annotated(value: object) -> Any:
    return {"metadata": {"annotations": {STOP_ANNOTATION: value}}}


@pytest.mark.parametrize(
    ("place", "source", "word"),
    [
        (ANNOTATION, {}, None),
        (ANNOTATION, {"metadata": {"annotations": {"sre-agent.dev/command": "cmd-1"}}}, None),
        (ANNOTATION, annotated("ann: disk full"), Word("ann", "disk full")),
        (ANNOTATION, annotated("ann: at 10:30 the disk"), Word("ann", "at 10:30 the disk")),
        (ANNOTATION, annotated("disk full"), Word("somebody who left no name", "disk full")),
        (ANNOTATION, annotated("ann:"), Word("ann", "no reason was left")),
        (ANNOTATION, annotated(""), Word("somebody who left no name", "no reason was left")),
        (ANNOTATION, annotated("false"), Word("somebody who left no name", "false")),
        (ANNOTATION, annotated(7), Word("somebody who left no name", "no reason was left")),
        (CONFIG_MAP, {"data": {"owner": "ann", "reason": "disk full"}}, Word("ann", "disk full")),
        (CONFIG_MAP, {"data": {"reason": " disk full "}}, Word("somebody who left no name", "disk full")),
        (CONFIG_MAP, {}, Word("somebody who left no name", "no reason was left")),
        (CONFIG_MAP, {"data": None}, Word("somebody who left no name", "no reason was left")),
    ],
)
def test_a_stop_is_whatever_stands_there_and_names_who_and_why(place: Place, source: Any, word: Word | None) -> None:
    assert word_at(place, source) == word


@given(st.text())
def test_an_annotation_stops_whatever_is_written_in_it(value: str) -> None:
    word = word_at(ANNOTATION, annotated(value))
    assert word is not None
    assert word.by
    assert word.cause


@pytest.mark.parametrize(
    ("workload", "scopes"),
    [(WEB, ["*", "*", "bank", "bank/Deployment/web"]), (NODE, ["*", "*", "-/Node/node-1"])],
)
def test_a_workload_is_stopped_with_everything_with_its_namespace_or_by_itself(
    workload: WorkloadRef, scopes: list[str]
) -> None:
    assert [place.scope for place in places_over(workload)] == scopes


@given(st.sampled_from(list(Way)), st.sampled_from([EVERYTHING, "bank", WEB.key]))
def test_a_stop_is_known_by_where_it_stands(way: Way, scope: str) -> None:
    stop = Stop(id="stop-1", at=datetime(2030, 1, 1, tzinfo=UTC), way=way, scope=scope, holds=True, by="ann")
    place = place_of(stop)
    assert (place is None) == (way is Way.API)
    assert place is None or (place.key, place.way, place.scope) == (stop.key, way, scope)
