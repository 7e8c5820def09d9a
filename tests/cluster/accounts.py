"""The shipped manifests on a real API server, and a kubeconfig of each service's own account."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from kubernetes import client, config

from tests.cluster.audit import username
from tests.cluster.objects import BANK, PROTECTED, eviction, path_of, register, waiting_pod
from tests.cluster.rights import KUBERNETES
from tests.contracts.cluster.backend import until

REAL = "SRE_TEST_KUBECONFIG"
MANIFESTS = tuple(KUBERNETES / name for name in ("rbac.yaml", "admission.yaml", "optional/revisions.yaml"))
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
_TAKEN_UP_WITHIN = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server answered, also where it refused."""

    status: int
    body: Any

    @property
    def message(self) -> str:
        """Return the message of a Status."""
        return str(self.body.get("message") or "")


def required(variable: str) -> Path:
    """Return the file that a variable of the environment names.

    Raises:
        LookupError: it is not set; these tests need the real thing.
    """
    value = os.environ.get(variable)
    if not value:
        raise LookupError(f"{variable} is not set; run these tests by `make test-cluster`")
    return Path(value)


def connect(kubeconfig: Path, *, headers: Mapping[str, str] | None = None) -> client.ApiClient:
    """Return a client of the unmodified `kubernetes` package."""
    api = config.new_client_from_config(str(kubeconfig))
    for name, value in (headers or {}).items():
        api.set_default_header(name, value)
    return api


def connect_as(account: str) -> client.ApiClient:
    """Return a client that is a service's account by name and may do all by its roles: policies alone hold it."""
    return connect(
        required(REAL), headers={"Impersonate-User": username(account), "Impersonate-Group": "system:masters"}
    )


def ask(api: client.ApiClient, method: str, path: str, *, body: Any = None, kind: str = "application/json") -> Answer:
    """Ask for a path, with its query, and return the answer whatever it is."""
    headers = {"Accept": "application/json", "Content-Type": kind}
    request = api.param_serialize(method, path, header_params=headers, body=body, auth_settings=["BearerToken"])
    response = api.call_api(*request)
    text = response.read()
    try:
        return Answer(response.status, json.loads(text))
    except ValueError:
        return Answer(response.status, {"message": text.decode(errors="replace")})


def apply(api: client.ApiClient, document: Any) -> None:
    """Apply one document, server-side."""
    path = f"{path_of(document)}?fieldManager=tests&force=true"
    answer = ask(api, "PATCH", path, body=document, kind=APPLY)
    assert answer.status in {200, 201}, answer


def applied() -> Iterator[Any]:
    """Yield the documents that are in force in the tests: what is shipped, and the policy that is an option."""
    for path in MANIFESTS:
        yield from yaml.safe_load_all(path.read_text())


def apply_rights(api: client.ApiClient) -> None:
    """Apply the shipped accounts, roles, policies and the namespace that is healed; return when they are in force."""
    apply(api, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": BANK}})
    for document in applied():
        apply(api, document)
    apply(api, register())
    _until_in_force(api)


def _until_in_force(api: client.ApiClient) -> None:
    """Return when the API server has taken up the last policy that was applied, and so those before it."""
    pod = waiting_pod("policy-probe", labels=PROTECTED)
    apply(api, pod)
    rogue, path = connect_as("remediator"), f"{path_of(pod)}/eviction?dryRun=All"
    body = eviction("policy-probe", "any")
    try:
        until(lambda: "may not evict" in ask(rogue, "POST", path, body=body).message, within=_TAKEN_UP_WITHIN)
    finally:
        rogue.close()
        ask(api, "DELETE", path_of(pod), body={"gracePeriodSeconds": 0})
