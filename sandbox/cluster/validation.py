"""What the API server refuses in an object, as a list of field faults; pure."""

import json
import re
from collections.abc import Callable, Iterator

from sandbox.cluster.documents import (
    Document,
    Json,
    ReadOnly,
    at,
    is_leaving,
    rows,
    section,
    text,
    texts,
    whole,
    words,
)
from sandbox.cluster.errors import (
    FieldFault,
    bad_request,
    duplicate,
    forbidden_field,
    invalid,
    required,
    unsupported,
)
from sandbox.cluster.resources import (
    BUDGETS,
    DAEMON_SETS,
    DEPLOYMENTS,
    EVENTS,
    NAMESPACES,
    PODS,
    REPLICA_SETS,
    SERVICES,
    STATEFUL_SETS,
    Resource,
)
from sandbox.cluster.selectors import selector_of, selects
from shared.kernel.quantities import parse_quantity

Faults = Iterator[FieldFault]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LABEL_LENGTH = 63
_SUBDOMAIN_LENGTH = 253
_LABEL_RULE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_SUBDOMAIN_RULE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_VALUE_RULE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation "
    "is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_RESTART_POLICIES = ("Always", "OnFailure", "Never")
_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_POD_MAY_CHANGE = (
    "spec.containers[*].image",
    "spec.initContainers[*].image",
    "spec.activeDeadlineSeconds",
    "spec.tolerations",
    "spec.terminationGracePeriodSeconds",
)
_STATEFUL_SET_MAY_CHANGE = (
    "replicas",
    "ordinals",
    "template",
    "updateStrategy",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)
_LABEL_NAMED = frozenset({NAMESPACES, SERVICES})


def faults_of(resource: Resource, document: Document, *, before: Document | None) -> list[FieldFault]:
    """Return everything wrong with an object; `before` is what it replaces, None when it is new."""
    found = [*_metadata_faults(resource, document)]
    if before is not None and is_leaving(before):
        found += _late_finalizers(before, document)
    check = _CHECKS.get(resource)
    if check:
        found += check(document)
    change_check = _CHANGE_CHECKS.get(resource)
    if before is not None and change_check:
        found += change_check(before, document)
    return found


def check_readable(resource: Resource, document: Document) -> None:
    """Refuse an object that the server could not even read into its types.

    Raises:
        StatusError: a quantity is none (400).
    """
    pod_spec = section(document, "spec") if resource is PODS else section(document, "spec", "template", "spec")
    for container in (*rows(pod_spec, "containers"), *rows(pod_spec, "initContainers")):
        for part in ("limits", "requests"):
            for quantity in section(container, "resources", part).values():
                _check_quantity(resource, quantity)


def scale_faults(replicas: int) -> list[FieldFault]:
    """Return what is wrong with a Scale."""
    return [*_not_negative("spec.replicas", replicas)]


def _metadata_faults(resource: Resource, document: Document) -> Faults:
    name = text(document, "metadata", "name")
    if not name:
        yield required("metadata.name", "name or generateName is required")
    elif resource in _LABEL_NAMED:
        yield from _label_name_faults("metadata.name", name)
    elif not re.fullmatch(_SUBDOMAIN, name) or len(name) > _SUBDOMAIN_LENGTH:
        yield invalid("metadata.name", f'"{name}"', _SUBDOMAIN_RULE)
    yield from _label_faults("metadata.labels", texts(document, "metadata", "labels"))


def _late_finalizers(before: Document, after: Document) -> Faults:
    added = [
        one for one in words(after, "metadata", "finalizers") if one not in words(before, "metadata", "finalizers")
    ]
    if added:
        told = f"no new finalizers can be added if the object is being deleted, found new finalizers {added}"
        yield forbidden_field("metadata.finalizers", told)


def _label_name_faults(field: str, name: str) -> Faults:
    if len(name) > _LABEL_LENGTH:
        yield invalid(field, f'"{name}"', "must be no more than 63 characters")
    elif not re.fullmatch(_LABEL, name):
        yield invalid(field, f'"{name}"', _LABEL_RULE)


def _label_faults(field: str, labels: dict[str, str]) -> Faults:
    for value in labels.values():
        if len(value) > _LABEL_LENGTH:
            yield invalid(field, f'"{value}"', "must be no more than 63 characters")
        elif not _VALUE.fullmatch(value):
            yield invalid(field, f'"{value}"', _VALUE_RULE)


def _not_negative(field: str, number: int) -> Faults:
    if number < 0:
        yield invalid(field, str(number), "must be greater than or equal to 0")


def _pod_faults(pod: Document) -> Faults:
    yield from _pod_spec_faults("spec", section(pod, "spec"))


def _pod_spec_faults(field: str, spec: Document) -> Faults:
    containers = rows(spec, "containers")
    if not containers:
        yield required(f"{field}.containers")
    policy = text(spec, "restartPolicy", default="Always")
    if policy not in _RESTART_POLICIES:
        yield unsupported(f"{field}.restartPolicy", policy, supported=_RESTART_POLICIES)
    yield from _container_list_faults(f"{field}.containers", containers)
    yield from _container_list_faults(f"{field}.initContainers", rows(spec, "initContainers"))
    yield from _mount_faults(field, spec)


def _container_list_faults(field: str, containers: list[Document]) -> Faults:
    seen: set[str] = set()
    for index, container in enumerate(containers):
        here = f"{field}[{index}]"
        name = text(container, "name")
        if name and name in seen:
            yield duplicate(f"{here}.name", name)
        seen.add(name)
        yield from _container_faults(here, container)


def _container_faults(field: str, container: Document) -> Faults:
    name = text(container, "name")
    if not name:
        yield required(f"{field}.name")
    else:
        yield from _label_name_faults(f"{field}.name", name)
    if not text(container, "image").strip():
        yield required(f"{field}.image")
    policy = text(container, "imagePullPolicy", default="Always")
    if policy not in _PULL_POLICIES:
        yield unsupported(f"{field}.imagePullPolicy", policy, supported=_PULL_POLICIES)
    yield from _resource_faults(f"{field}.resources", section(container, "resources"))


def _resource_faults(field: str, resources: Document) -> Faults:
    limits, requests = section(resources, "limits"), section(resources, "requests")
    for part, quantities in (("limits", limits), ("requests", requests)):
        for name, quantity in quantities.items():
            yield from _quantity_faults(f"{field}.{part}[{name}]", quantity)
    for name, quantity in requests.items():
        limit = limits.get(name)
        if limit is not None and _exceeds(quantity, limit):
            yield invalid(
                f"{field}.requests", f'"{quantity}"', f"must be less than or equal to {name} limit of {limit}"
            )


def _quantity_faults(field: str, quantity: Json) -> Faults:
    if parse_quantity(str(quantity)) < 0:
        yield invalid(field, f'"{quantity}"', "must be greater than or equal to 0")


def _check_quantity(resource: Resource, quantity: Json) -> None:
    try:
        parse_quantity(str(quantity))
    except ValueError as exc:
        raise bad_request(
            f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: quantities must '
            r"match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
        ) from exc


def _exceeds(quantity: Json, limit: Json) -> bool:
    return parse_quantity(str(quantity)) > parse_quantity(str(limit))


def _mount_faults(field: str, spec: Document) -> Faults:
    volumes = {text(volume, "name") for volume in rows(spec, "volumes")}
    for index, container in enumerate(rows(spec, "containers")):
        for place, mount in enumerate(rows(container, "volumeMounts")):
            name = text(mount, "name")
            if name not in volumes:
                where = f"{field}.containers[{index}].volumeMounts[{place}].name"
                yield FieldFault(where, "FieldValueNotFound", f'Not found: "{name}"')


def _workload_faults(workload: Document) -> Faults:
    yield from _not_negative("spec.replicas", whole(workload, "spec", "replicas"))
    yield from _selector_faults(workload)
    yield from _pod_spec_faults("spec.template.spec", section(workload, "spec", "template", "spec"))
    policy = text(workload, "spec", "template", "spec", "restartPolicy", default="Always")
    if policy in {"OnFailure", "Never"}:
        yield unsupported("spec.template.spec.restartPolicy", policy, supported=("Always",))


def _deployment_faults(deployment: Document) -> Faults:
    yield from _workload_faults(deployment)
    rolling = section(deployment, "spec", "strategy", "rollingUpdate")
    if rolling and {str(rolling.get("maxSurge")), str(rolling.get("maxUnavailable"))} <= {"0", "0%"}:
        told = "may not be 0 when `maxSurge` is 0"
        yield invalid("spec.strategy.rollingUpdate.maxUnavailable", str(rolling.get("maxUnavailable")), told)


def _selector_faults(workload: Document) -> Faults:
    if at(workload, "spec", "selector") is None:
        yield required("spec.selector")
        return
    selector = selector_of(workload, "spec", "selector")
    if not selector:
        yield invalid("spec.selector", "{}", "empty selector is invalid for deployment")
    labels = section(workload, "spec", "template", "metadata", "labels")
    if not selects(selector, {"metadata": {"labels": labels}}):
        shown = json.dumps(labels, separators=(",", ":"))
        yield invalid("spec.template.metadata.labels", shown, "`selector` does not match template `labels`")


def _budget_faults(budget: Document) -> Faults:
    spec = section(budget, "spec")
    if "minAvailable" in spec and "maxUnavailable" in spec:
        shown = json.dumps(spec, separators=(",", ":"))
        yield invalid("spec", shown, "minAvailable and maxUnavailable cannot be both set")


def _event_faults(event: Document) -> Faults:
    about, namespace = text(event, "involvedObject", "namespace"), text(event, "metadata", "namespace")
    if (about or "default") != namespace and (about or namespace != "kube-system"):
        yield invalid("involvedObject.namespace", about, "does not match event.namespace")


def _service_faults(service: Document) -> Faults:
    kind = text(service, "spec", "type")
    headless = text(service, "spec", "clusterIP") == "None"
    if not rows(service, "spec", "ports") and not headless and kind != "ExternalName":
        yield required("spec.ports")


def _selector_change(before: Document, after: Document) -> Faults:
    selector = at(after, "spec", "selector")
    if at(before, "spec", "selector") != selector:
        shown = json.dumps(selector, separators=(",", ":"))
        yield invalid("spec.selector", shown, "field is immutable")


def _stateful_set_change(before: Document, after: Document) -> Faults:
    old, new = ({**section(one, "spec")} for one in (before, after))
    for field in _STATEFUL_SET_MAY_CHANGE:
        old.pop(field, None)
        new.pop(field, None)
    if old != new:
        told = ", ".join(f"'{field}'" for field in _STATEFUL_SET_MAY_CHANGE[:-1])
        yield forbidden_field(
            "spec",
            f"updates to statefulset spec for fields other than {told} and '{_STATEFUL_SET_MAY_CHANGE[-1]}' "
            "are forbidden",
        )


def _pod_change(before: Document, after: Document) -> Faults:
    if _pod_fixed(before) != _pod_fixed(after):
        fields = ",".join(f"`{field}`" for field in _POD_MAY_CHANGE[:3])
        yield forbidden_field(
            "spec",
            f"pod updates may not change fields other than {fields},`spec.tolerations` (only additions to existing "
            "tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        )


def _pod_fixed(pod: ReadOnly) -> Json:
    spec = dict(section(pod, "spec"))
    for field in ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "nodeName"):
        spec.pop(field, None)
    for field in ("containers", "initContainers"):
        bare: list[Json] = [{key: value for key, value in row.items() if key != "image"} for row in rows(spec, field)]
        spec[field] = bare
    return spec


_CHECKS: dict[Resource, Callable[[Document], Faults]] = {
    PODS: _pod_faults,
    DEPLOYMENTS: _deployment_faults,
    REPLICA_SETS: _workload_faults,
    STATEFUL_SETS: _workload_faults,
    DAEMON_SETS: _workload_faults,
    BUDGETS: _budget_faults,
    SERVICES: _service_faults,
    EVENTS: _event_faults,
}

_CHANGE_CHECKS: dict[Resource, Callable[[Document, Document], Faults]] = {
    PODS: _pod_change,
    DEPLOYMENTS: _selector_change,
    REPLICA_SETS: _selector_change,
    STATEFUL_SETS: _stateful_set_change,
    DAEMON_SETS: _selector_change,
}
