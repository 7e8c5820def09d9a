"""Whose a field is: by managers and their fields, by tracking labels, by autoscalers; whatever an object holds."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.contracts.actions.ownership import (
    REPLICAS,
    TEMPLATE,
    FieldPath,
    Owner,
    Ownership,
    Resource,
    in_words,
    last_writer_of,
    maker_of,
    memory_of,
    owner_of,
    scaler_of,
    sizer_of,
)
from shared.contracts.workloads import WorkloadRef
from tests.unit.shared.contracts.actions.conversation import WEB
from tests.unit.shared.contracts.actions.objects import deployment, written_by

LIMIT = memory_of("c0", "limits")


BOTH, NEITHER = frozenset({"cpu", "memory"}), frozenset[str]()


def managed(fields: Any, *, manager: str = "argocd-controller", **more: Any) -> Any:
    entry = {"manager": manager, "operation": "Apply", "time": "2026-01-01T00:00:00Z", "fieldsV1": fields, **more}
    return {"metadata": {"managedFields": [entry]}}


def noted(name: str, value: str, *, where: str = "annotations") -> Any:
    return {"metadata": {where: {name: value}}}


def nested(*steps: str, leaf: Any = None) -> Any:
    inner: Any = {} if leaf is None else leaf
    for step in reversed(steps):
        inner = {step: inner}
    return inner


CONTAINER = ("f:spec", "f:template", "f:spec", "f:containers", 'k:{"name":"c0"}')


@pytest.mark.parametrize(
    ("fields", "path", "is_owned"),
    [
        (nested(*CONTAINER, "f:resources", "f:limits", "f:memory"), LIMIT, True),
        (nested(*CONTAINER, "f:resources", "f:limits", "f:memory"), memory_of("c0", "requests"), False),
        (nested(*CONTAINER, "f:resources", "f:limits", "f:memory"), memory_of("c1", "limits"), False),
        (nested(*CONTAINER, "f:resources", "f:limits", "f:cpu"), LIMIT, False),
        (nested(*CONTAINER, "f:resources", "f:limits", leaf={".": {}}), LIMIT, False),
        (nested(*CONTAINER, "f:resources"), LIMIT, True),  # as a whole, whatever is in it
        (nested(*CONTAINER, "f:image"), TEMPLATE, True),  # a part of what is to be replaced
        (nested("f:spec", "f:replicas"), TEMPLATE, False),
        (nested("f:spec", "f:replicas"), REPLICAS, True),
        (nested("f:metadata", "f:annotations"), TEMPLATE, False),
        ({}, TEMPLATE, False),
        ({"f:spec": "no fields"}, TEMPLATE, False),
        (nested("f:spec", "f:template", "f:spec", "f:containers", "k:no json"), LIMIT, False),
        (nested("f:spec", "f:template", "f:spec", "f:containers", 'k:["name"]'), LIMIT, False),
    ],
)
def test_a_manager_owns_the_fields_it_wrote_and_what_lies_in_them(fields: Any, path: FieldPath, is_owned: bool) -> None:
    expected = Ownership(Owner.ARGO_CD, "manager argocd-controller") if is_owned else None
    assert owner_of(managed(fields), path) == expected


@pytest.mark.parametrize(
    ("manager", "subresource", "owner"),
    [
        ("argocd-controller", "", Owner.ARGO_CD),
        ("argocd-application-controller", "", Owner.ARGO_CD),
        ("kustomize-controller", "", Owner.FLUX),
        ("helm-controller", "", Owner.FLUX),
        ("keda-operator", "", Owner.KEDA),
        ("vpa-updater", "", Owner.VPA),
        ("vpa-admission-controller", "", Owner.VPA),
        ("kube-controller-manager", "scale", Owner.HPA),
        ("kube-controller-manager", "", None),
        ("kubectl-client-side-apply", "", None),
        ("sre-agent", "", None),
    ],
)
def test_only_who_writes_again_and_again_is_an_owner(manager: str, subresource: str, owner: Owner | None) -> None:
    found = owner_of(managed(nested("f:spec", "f:replicas"), manager=manager, subresource=subresource), REPLICAS)
    assert (found.owner if found else None) == owner


@pytest.mark.parametrize(
    ("source", "owner"),
    [
        (noted("argocd.argoproj.io/tracking-id", "shop:apps/Deployment:bank/web"), Owner.ARGO_CD),
        (noted("argocd.argoproj.io/instance", "shop", where="labels"), Owner.ARGO_CD),
        (noted("kustomize.toolkit.fluxcd.io/name", "shop", where="labels"), Owner.FLUX),
        (noted("helm.toolkit.fluxcd.io/name", "shop", where="labels"), Owner.FLUX),
        (noted("argocd.argoproj.io/instance", "", where="labels"), None),
        (noted("app.kubernetes.io/managed-by", "Helm", where="labels"), None),  # writes once, by a person's command
        (noted("app.kubernetes.io/instance", "shop", where="labels"), None),
    ],
)
def test_what_an_actor_tracks_is_its_own_as_a_whole(source: Any, owner: Owner | None) -> None:
    for path in (LIMIT, TEMPLATE, REPLICAS):
        found = owner_of(source, path)
        assert (found.owner if found else None) == owner


def test_what_flux_is_told_to_leave_alone_is_not_its_own() -> None:
    told = {"kustomize.toolkit.fluxcd.io/reconcile": "disabled"}
    source = managed(nested("f:spec", "f:template"), manager="kustomize-controller")
    labelled: Any = {**source["metadata"], "labels": {"kustomize.toolkit.fluxcd.io/name": "shop"}}
    assert owner_of({"metadata": labelled}, TEMPLATE) is not None
    assert owner_of({"metadata": labelled | {"annotations": told}}, TEMPLATE) is None


@pytest.mark.parametrize(
    ("allowed", "owner"), [("argo-cd", None), ("flux , argo-cd", None), ("flux", Owner.ARGO_CD), ("", Owner.ARGO_CD)]
)
def test_an_object_may_let_us_change_what_a_named_owner_has(allowed: str, owner: Owner | None) -> None:
    source = managed(nested("f:spec", "f:template"))
    source["metadata"]["annotations"] = {"sre-agent.dev/despite-owner": allowed}
    found = owner_of(source, TEMPLATE)
    assert (found.owner if found else None) == owner


DATABASE = {"apiVersion": "postgresql.cnpg.io/v1", "kind": "Cluster", "name": "ledger", "uid": "c"}
BACKUP = {"apiVersion": "backup.example.com/v1", "kind": "Backup", "name": "nightly", "uid": "b"}
MADE = Ownership(Owner.OPERATOR, "Cluster ledger of postgresql.cnpg.io")


def made_by(*owners: Any, **metadata: Any) -> Any:
    found = deployment()
    return found | {"metadata": found["metadata"] | metadata | {"ownerReferences": list(owners)}}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (made_by(DATABASE | {"controller": True}), MADE),
        (made_by(DATABASE), MADE),  # some that control what they made do not say so
        (made_by(BACKUP, DATABASE | {"controller": True}), MADE),
        (made_by(DATABASE | {"controller": True}, annotations={"sre-agent.dev/despite-owner": "argo-cd"}), MADE),
        (made_by(DATABASE | {"controller": True}, annotations={"sre-agent.dev/despite-owner": "operator"}), None),
        (made_by({"apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "a"}), None),
        (made_by({"apiVersion": "batch/v1", "kind": "CronJob", "name": "a", "uid": "a", "controller": True}), None),
        (made_by({"kind": "Odd", "name": "a"}), Ownership(Owner.OPERATOR, "Odd a of no group")),
        (made_by(labels={"app.kubernetes.io/managed-by": "ledger-operator"}), None),  # anybody writes that
        (made_by(), None),
    ],
)
def test_what_an_operator_made_is_its_own_as_a_whole(source: Any, expected: Ownership | None) -> None:
    for path in (LIMIT, TEMPLATE, REPLICAS, ("spec", "paused")):
        assert owner_of(source, path) == expected
    assert maker_of(source) == expected


def test_of_a_name_without_end_so_much_is_quoted_as_a_person_reads() -> None:
    found = maker_of(made_by(DATABASE | {"name": "x" * 10_000}))
    assert len(str(found)) < 200


@pytest.mark.parametrize(
    ("target", "labels", "expected"),
    [
        ({"kind": "Deployment", "name": "web"}, {}, Ownership(Owner.HPA, "scaler")),
        (
            {"kind": "Deployment", "name": "web"},
            {"scaledobject.keda.sh/name": "queue"},
            Ownership(Owner.KEDA, "ScaledObject queue"),
        ),
        ({"kind": "StatefulSet", "name": "web"}, {}, None),
        ({"kind": "Deployment", "name": "other"}, {}, None),
        ({}, {}, None),
    ],
)
def test_who_scales_a_workload_is_the_autoscaler_that_names_it(
    target: Any, labels: Any, expected: Ownership | None
) -> None:
    autoscaler: Any = {"metadata": {"name": "scaler", "labels": labels}, "spec": {"scaleTargetRef": target}}
    assert scaler_of(WEB, [{}, autoscaler]) == expected


@pytest.mark.parametrize(
    ("mode", "policies", "sized"),
    [
        ("", [], BOTH),
        ("Auto", [], BOTH),
        ("Initial", [], BOTH),
        ("Off", [], NEITHER),
        ("Auto", [{"containerName": "c0", "mode": "Off"}], NEITHER),
        ("Auto", [{"containerName": "*", "mode": "Off"}], NEITHER),
        ("Auto", [{"containerName": "*", "mode": "Off"}, {"containerName": "c0", "mode": "Auto"}], BOTH),
        ("Auto", [{"containerName": "other", "mode": "Off"}], BOTH),
        ("Auto", [{"containerName": "c0", "controlledResources": ["cpu"]}], frozenset({"cpu"})),
        ("Auto", [{"containerName": "c0", "controlledResources": ["memory"]}], frozenset({"memory"})),
        ("Auto", [{"containerName": "c0", "controlledResources": ["cpu", "memory"]}], BOTH),
    ],
)
@pytest.mark.parametrize("resource", ["cpu", "memory"])
def test_who_sizes_a_container_is_the_autoscaler_that_sets_that_resource(
    mode: str, policies: Any, sized: frozenset[str], resource: Resource
) -> None:
    policy = {"updatePolicy": {"updateMode": mode}} if mode else {}
    spec = {"targetRef": {"kind": "Deployment", "name": "web"}, "resourcePolicy": {"containerPolicies": policies}}
    autoscaler: Any = {"metadata": {"name": "sizer"}, "spec": {**spec, **policy}}
    expected = Ownership(Owner.VPA, "sizer") if resource in sized else None
    assert sizer_of(deployment(), WEB, [autoscaler], container="c0", resource=resource) == expected
    allowing: Any = {"metadata": {"annotations": {"sre-agent.dev/despite-owner": "vpa"}}}
    assert sizer_of(allowing, WEB, [autoscaler], container="c0", resource=resource) is None
    other = WorkloadRef(kind="Deployment", namespace="bank", name="b")
    assert sizer_of(deployment(), other, [autoscaler], container="c0", resource=resource) is None


def test_the_last_writer_is_the_one_whose_entry_is_the_newest() -> None:
    once = written_by("kubectl", deployment(), at="2026-01-01T00:00:00Z")
    again = written_by("pipeline", once, at="2026-01-03T00:00:00Z")
    assert last_writer_of(written_by("us", again, at="2026-01-02T00:00:00Z"), LIMIT) == "pipeline"
    assert last_writer_of(deployment(), LIMIT) == "somebody"


def test_a_field_is_named_as_a_person_writes_it() -> None:
    assert in_words(LIMIT) == "spec.template.spec.containers[c0].resources.limits.memory"


SHAPES = st.none() | st.booleans() | st.text()


@given(st.recursive(SHAPES, lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
def test_writers_of_any_shape_never_break_the_reading(told: Any) -> None:
    tracked: Any = {"annotations": {"kustomize.toolkit.fluxcd.io/reconcile": told}}
    assert owner_of({"metadata": tracked}, LIMIT) is None
    for metadata in (told, {"managedFields": told}, {"managedFields": [told]}, {"managedFields": [{"fieldsV1": told}]}):
        source: Any = {"metadata": metadata}
        assert owner_of(source, LIMIT) is None
        last_writer_of(source, LIMIT)
        assert scaler_of(WEB, [source]) is None
