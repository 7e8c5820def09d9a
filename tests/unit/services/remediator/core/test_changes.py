"""What an action changes: exactly what it says, under the version it was made for, never beyond."""

from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from sandbox.cluster.patches import json_patched, strategically_merged
from services.remediator.core.changes import Change, is_marked, is_protected, memory_change, rollback_change
from services.remediator.core.refusals import Refusal
from shared.contracts.actions import Rollback, SetMemory

MEBIBYTE = 1 << 20


def deployment(*, limit: str = "128Mi", request: str = "64Mi", image: str = "v2", containers: int = 2) -> Any:
    return {
        "metadata": {"name": "web", "uid": "d", "resourceVersion": "7", "annotations": {"kept": "yes"}},
        "spec": {
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "containers": [
                        {
                            "name": f"c{number}",
                            "image": image,
                            "resources": {"limits": {"memory": limit, "cpu": "1"}, "requests": {"memory": request}},
                        }
                        for number in range(containers)
                    ]
                },
            }
        },
    }


def replica_set(revision: int, *, image: str, owner: str = "d") -> Any:
    template = deployment(image=image)["spec"]["template"]
    labelled = template | {"metadata": {"labels": {"app": "web", "pod-template-hash": image}}}
    return {
        "metadata": {
            "name": f"web-{image}",
            "annotations": {"deployment.kubernetes.io/revision": str(revision)},
            "labels": {"pod-template-hash": image},
            "ownerReferences": [{"kind": "Deployment", "name": "web", "uid": owner, "controller": True}],
        },
        "spec": {"template": labelled},
    }


def limits(document: Any) -> list[str]:
    return [one["resources"]["limits"]["memory"] for one in document["spec"]["template"]["spec"]["containers"]]


def to_bytes(mebibytes: int) -> SetMemory:
    return SetMemory(container="c0", from_bytes=128 * MEBIBYTE, to_bytes=mebibytes * MEBIBYTE)


@given(st.integers(129, 4096))
def test_memory_is_set_on_the_one_container_and_nothing_else_changes(mebibytes: int) -> None:
    before = deployment()
    change = memory_change(before, to_bytes(mebibytes), command="cmd-1", token=3)
    assert isinstance(change, Change)
    after = strategically_merged(before, cast("dict[str, Any]", change.patch))
    assert limits(after)[1] == "128Mi"
    assert limits(after)[0] == f"{mebibytes}Mi" or limits(after)[0] == f"{mebibytes // 1024}Gi"
    assert is_marked(after, "cmd-1")
    metadata = cast("dict[str, Any]", after["metadata"])
    assert metadata["annotations"]["kept"] == "yes"
    assert metadata["resourceVersion"] == "7"


def test_a_limit_that_is_no_longer_what_was_seen_is_left_alone() -> None:
    change = memory_change(deployment(limit="256Mi"), to_bytes(512), command="cmd-1", token=3)
    assert change is Refusal.CHANGED_MEANWHILE


def test_memory_is_set_back_to_what_it_was_and_all_else_is_as_before() -> None:
    before = deployment()
    raised = memory_change(before, to_bytes(256), command="cmd-1", token=3)
    assert isinstance(raised, Change)
    between = strategically_merged(before, cast("dict[str, Any]", raised.patch))
    back = SetMemory(container="c0", from_bytes=256 * MEBIBYTE, to_bytes=128 * MEBIBYTE)
    lowered = memory_change(cast("dict[str, Any]", between), back, command="cmd-2", token=3)
    assert isinstance(lowered, Change)
    after = strategically_merged(between, cast("dict[str, Any]", lowered.patch))
    assert after["spec"] == before["spec"]
    assert is_marked(after, "cmd-2")


def test_memory_that_somebody_else_set_meanwhile_is_not_set_back() -> None:
    back = SetMemory(container="c0", from_bytes=256 * MEBIBYTE, to_bytes=128 * MEBIBYTE)
    change = memory_change(deployment(limit="512Mi"), back, command="cmd-2", token=3)
    assert change is Refusal.CHANGED_MEANWHILE


def test_a_container_that_is_not_there_is_refused() -> None:
    action = SetMemory(container="other", from_bytes=1, to_bytes=2)
    assert memory_change(deployment(), action, command="cmd-1", token=3) is Refusal.CONTAINER_UNKNOWN


def test_a_rollback_takes_the_template_of_the_revision_before() -> None:
    sets = [replica_set(1, image="v1"), replica_set(2, image="v2"), replica_set(3, image="v0", owner="other")]
    change = rollback_change(deployment(), sets, Rollback(), command="cmd-1", token=3)
    assert isinstance(change, Change)
    after = json_patched(deployment(), change.patch)
    assert is_marked(after, "cmd-1")
    assert "image: v2 → v1" in " ".join(change.lines)
    assert "pod-template-hash" not in str(after["spec"])


def test_a_rollback_from_another_template_than_the_failing_one_is_refused() -> None:
    sets = [replica_set(1, image="v1"), replica_set(2, image="v2")]
    action = Rollback(from_template_hash="v1")
    assert rollback_change(deployment(), sets, action, command="c", token=1) is Refusal.CHANGED_MEANWHILE


def test_without_an_earlier_revision_there_is_no_way_back() -> None:
    sets = [replica_set(1, image="v1")]
    assert rollback_change(deployment(), sets, Rollback(), command="c", token=1) is Refusal.NO_EARLIER_REVISION
    assert rollback_change(deployment(), [], Rollback(), command="c", token=1) is Refusal.NO_EARLIER_REVISION


KEYS, VALUES = st.sampled_from(["app", "sre-agent.dev/protected"]), st.sampled_from(["true", "false", ""])
LABELS = st.dictionaries(KEYS, VALUES)


@given(own=LABELS, inside=LABELS, by=st.dictionaries(KEYS, st.lists(VALUES, min_size=1)))
def test_an_object_is_protected_by_its_own_label_or_by_that_of_the_pods_it_makes(
    own: dict[str, str], inside: dict[str, str], by: dict[str, list[str]]
) -> None:
    labelled = {"metadata": {"labels": own}, "spec": {"template": {"metadata": {"labels": inside}}}}
    carried = {*own.items(), *inside.items()}
    named = {(key, value) for key, values in by.items() for value in values}
    assert is_protected(cast("Any", labelled), by) is bool(carried & {("sre-agent.dev/protected", "true"), *named})


@given(st.recursive(st.none() | st.booleans() | st.text(), lambda inner: st.dictionaries(st.text(), inner)))
def test_labels_of_any_shape_never_break_the_reading(labels: Any) -> None:
    by = {"tier of no other": ["database"]}
    assert not is_protected({"metadata": labels, "spec": labels}, by)
    assert not is_protected({"metadata": {"labels": labels}}, by)
