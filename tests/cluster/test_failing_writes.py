"""What a real API server fails at for one command alone: told by its name, as what it refuses, and not as away."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

from typing import Any

import pytest

from services.remediator.adapters.acting import Actor, Refused
from shared.contracts.refusals import Refusal
from tests.cluster.accounts import MERGE, ask
from tests.cluster.bank import MORE_MEMORY, Bank, command, restart_of
from tests.cluster.leading import live, preview
from tests.cluster.objects import BANK, path_of
from tests.contracts.cluster.backend import until

pytestmark = pytest.mark.cluster
_FAILED = 500


def budget(name: str, *, over: str) -> Any:
    """Return a budget that lets any pod go."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": BANK},
        "spec": {"minAvailable": 0, "selector": {"matchLabels": {"app": over}}},
    }


def webhook(*, of: str) -> Any:
    """Return a webhook that fails closed, and that nobody serves: of the changes of one Deployment."""
    rule = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["deployments"]}
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "unserved"},
        "webhooks": [
            {
                "name": "unserved.example.com",
                "clientConfig": {"url": "https://127.0.0.1:1/"},
                "rules": [rule],
                "matchConditions": [{"name": "one", "expression": f"object.metadata.name == '{of}'"}],
                "failurePolicy": "Fail",
                "sideEffects": "None",
                "admissionReviewVersions": ["v1"],
                "timeoutSeconds": 2,
            }
        ],
    }


async def test_an_eviction_under_two_budgets_is_refused_by_its_name(bank: Bank, actor: Actor) -> None:
    document = bank.run("Deployment", "doubly")
    for name in ("doubly-one", "doubly-two"):
        bank.lay(budget(name, over="doubly"))
    (pod,) = bank.pods("doubly")
    for asked in (preview, live):
        answer = await asked(actor, command(document, restart_of(pod)))
        assert isinstance(answer, Refused)
        assert answer.refusal is Refusal.SEVERAL_BUDGETS
    assert [one["metadata"]["uid"] for one in bank.pods("doubly")] == [pod["metadata"]["uid"]]


async def test_a_webhook_that_nobody_serves_is_the_refusal_of_what_it_would_be_asked_about(
    bank: Bank, actor: Actor
) -> None:
    held, free = bank.run("Deployment", "held"), bank.run("Deployment", "free")
    bank.lay(webhook(of="held"))
    until(lambda: _change_of(bank, held) == _FAILED)
    for asked in (preview, live):
        answer = await asked(actor, command(held, MORE_MEMORY))
        assert isinstance(answer, Refused)
        assert answer.refusal is Refusal.ADMISSION_AWAY
        assert 'failed calling webhook "unserved.example.com"' in answer.message
    assert bank.limit(held) == "64Mi"
    assert not isinstance(await live(actor, command(free, MORE_MEMORY)), Refused)


def _change_of(bank: Bank, document: Any) -> int:
    """Return the answer to a change that would change nothing."""
    return ask(bank.admin, "PATCH", f"{path_of(document)}?dryRun=All", body={"metadata": {}}, kind=MERGE).status
