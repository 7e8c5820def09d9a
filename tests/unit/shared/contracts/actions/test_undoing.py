"""What somebody undid is not done again, whichever action did it; what we set back ourselves may be done anew."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import pytest

from shared.contracts.actions import Action
from shared.contracts.actions.base import Done
from shared.contracts.actions.scale import Scale
from shared.contracts.actions.scale_hpa import ScaleHpa
from shared.contracts.actions.set_cpu import SetCpu
from shared.contracts.actions.set_memory import SetMemory
from shared.contracts.refusals import Refusal
from tests.unit.shared.contracts.actions.conversation import Server, order, outcome, refused
from tests.unit.shared.contracts.actions.objects import AUTOSCALER, DEPLOYMENT, autoscaler, deployment
from tests.unit.shared.contracts.actions.test_restore_service import RESTORE, SERVICE, service

_MEBIBYTE = 1 << 20
CASES = [
    (SetMemory(container="c0", from_bytes=128 * _MEBIBYTE, to_bytes=256 * _MEBIBYTE), DEPLOYMENT, "256Mi", "128Mi"),
    (SetCpu(container="c0", factor=2, cap_millis=4000), DEPLOYMENT, "2", "1"),
    (Scale(by=1, least=1, most=9), DEPLOYMENT, "3", "2"),
    (ScaleHpa(by=3, at_most=20), AUTOSCALER, "13", "10"),
    (ScaleHpa(bound="minReplicas", by=3, at_most=20), AUTOSCALER, "5", "2"),
    (RESTORE, SERVICE, "app=web 80>8080/TCP", "app=wbe 80>8080/TCP"),
]
"""Each action, the object that it changes, and what it makes of what."""


def objects_for(path: str) -> dict[str, Any]:
    made = {DEPLOYMENT: deployment, AUTOSCALER: autoscaler, SERVICE: service}
    return {DEPLOYMENT: deployment(), path: made[path]()}


def undone_by(manager: str, objects: Mapping[str, Any], path: str, was: Any) -> Server:
    """Return what is there once somebody gave an object the spec again that it had, and left our marks."""
    found = deepcopy(objects[path])
    writer: Any = {"manager": manager, "time": "2031-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}}
    found["spec"], found["metadata"]["managedFields"] = deepcopy(was), [writer]
    return Server({**objects, path: found})


@pytest.mark.parametrize(("action", "path", "after", "before"), CASES)
def test_what_somebody_undid_is_not_done_again_and_the_refusal_names_who(
    action: Action, path: str, after: str, before: str
) -> None:
    was = objects_for(path)
    server = Server(objects_for(path))
    assert isinstance(outcome(server, action), Done)
    fought = undone_by("rival", server.objects, path, was[path]["spec"])
    refusal, message = refused(fought, action, order("cmd-2"))
    assert (refusal, fought.written) == (Refusal.UNDONE_BY_OTHER, [])
    assert message.endswith(f": command cmd-1 made it {after}, rival made it {before} again")


def undoing(server: Server, action: Action) -> Action:
    """Carry an action out, and return what undoes it."""
    done = outcome(server, action)
    assert isinstance(done, Done)
    back = action.inverse() or done.inverse
    assert back is not None
    return back


@pytest.mark.parametrize(("action", "path", "after", "before"), CASES)
def test_what_we_set_back_ourselves_may_be_done_anew(action: Action, path: str, after: str, before: str) -> None:
    del after, before
    server = Server(objects_for(path))
    back = undoing(server, action)
    assert isinstance(outcome(server, back, order("cmd-2", reverts="cmd-1")), Done)
    assert isinstance(outcome(server, action, order("cmd-3")), Done)


@pytest.mark.parametrize(("action", "path", "after", "before"), CASES)
def test_what_another_actor_owns_by_now_is_not_set_back(action: Action, path: str, after: str, before: str) -> None:
    del after, before
    server = Server(objects_for(path))
    back = undoing(server, action)
    owned = undone_by("argocd-controller", server.objects, path, server.objects[path]["spec"])
    refusal, message = refused(owned, back, order("cmd-2", reverts="cmd-1"))
    assert (refusal, owned.written) == (Refusal.OWNED_BY_OTHER, [])
    assert message.endswith("argo-cd (manager argocd-controller)")


@pytest.mark.parametrize(
    ("action", "path", "owner"),
    [
        (ScaleHpa(by=3, at_most=20), AUTOSCALER, {"kind": "ScaledObject", "name": "queue"}),
        (RESTORE, SERVICE, {"kind": "Gateway", "name": "web"}),
    ],
)
def test_what_another_controller_makes_by_now_is_not_set_back(action: Action, path: str, owner: Any) -> None:
    server = Server(objects_for(path))
    assert isinstance(outcome(server, action), Done)
    found = deepcopy(server.objects[path])
    found["metadata"]["ownerReferences"] = [owner]
    adopted, back = Server({**server.objects, path: found}), action.inverse()
    assert back is not None
    assert outcome(adopted, back, order("cmd-2", reverts="cmd-1")) is Refusal.OWNED_BY_OTHER
    assert adopted.written == []


@pytest.mark.parametrize(("action", "path", "after", "before"), CASES)
def test_without_the_mark_it_is_done_again(action: Action, path: str, after: str, before: str) -> None:
    del after, before
    was = objects_for(path)
    server = Server(objects_for(path))
    outcome(server, action)
    agreed = undone_by("rival", server.objects, path, was[path]["spec"])
    del agreed.objects[path]["metadata"]["annotations"]["sre-agent.dev/change"]
    assert isinstance(outcome(agreed, action, order("cmd-2")), Done)
