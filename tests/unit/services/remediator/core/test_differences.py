"""The lines of a difference: what goes and what comes, by path, without what may be secret, and not too many."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from services.remediator.core.differences import MOST_LINES, difference
from tests.unit.services.remediator.core.clusters import spec, workload


def with_container(**fields: Any) -> Any:
    container = {**spec()["containers"][0], **fields}
    return {"spec": {"template": {"spec": {"containers": [container]}}}}


def test_a_field_is_told_as_it_was_and_as_it_would_be() -> None:
    before, after = workload(image="v1", memory=64), workload(image="v2", memory=64, cpu=100)
    container = "spec.template.spec.containers[server]"
    assert difference(before, after) == [
        f"- {container}.image: v1",
        f"+ {container}.image: v2",
        f"+ {container}.resources.requests.cpu: 100m",
    ]


def test_what_is_not_of_the_specification_is_no_difference() -> None:
    after: Any = {**workload(), "metadata": {"name": "web", "resourceVersion": "9"}, "status": {}}
    assert difference(workload(), after) == []


def test_what_may_be_secret_is_not_shown() -> None:
    before = with_container(env=[{"name": "P", "value": "old"}], command=["run"], image="a")
    now: Any = {
        "env": [{"name": "P", "value": "hunter2"}],
        "command": ["run --password=x"],
        "image": "p:password=hunter2",
    }
    told = "\n".join(difference(before, with_container(**now)))
    assert "hunter2" not in told
    assert "--password=x" not in told
    assert "env[P].value: (not shown)" in told


def test_a_long_difference_is_cut_and_says_so() -> None:
    after: Any = {"spec": {f"field{number:03}": number for number in range(MOST_LINES + 5)}}
    told = difference({}, after)
    assert (len(told), told[-1]) == (MOST_LINES + 1, "… 5 more lines")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(JSON, JSON)
def test_a_difference_has_no_line_where_there_is_none_and_reads_whatever_there_is(before: Any, after: Any) -> None:
    assert difference({"spec": before}, {"spec": before}) == []
    assert len(difference({"spec": before}, {"spec": after})) <= MOST_LINES + 1
