"""Webhooks called about workloads of a real API server, read with the remediator's own account; nothing is written."""

# the client's models are typed in part only
# pyright: basic, reportArgumentType=false, reportOptionalMemberAccess=false
# pyright: reportAttributeAccessIssue=false, reportIndexIssue=false

import hashlib
import hmac
import json
from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from services.remediator.adapters.acting import Actor, Refused
from services.remediator.adapters.calling import Webhooks
from shared.contracts.actions import CallWebhook
from shared.contracts.actions.base import Done
from shared.contracts.commands import Command
from shared.contracts.refusals import Refusal
from shared.infra.kube import KubeClient
from tests.cluster.bank import Bank, command
from tests.cluster.leading import TOKEN_NOW, led, live, preview
from tests.cluster.objects import BANK, KINDS, PROTECTED, running
from tests.integration.remediator.receiver import KEY, receiving

pytestmark = pytest.mark.cluster
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
NOT_HERE = b"HTTP/1.1 410 Gone\r\nContent-Length: 0\r\n\r\n"
CALL = CallWebhook(webhook="pipeline", reason="its certificate ends")
Act = Callable[[Actor, Command], Awaitable[Done | Refused]]


async def nothing() -> None:
    """Let everything pass: who leads and who stops is asked elsewhere."""


@asynccontextmanager
async def caller(kubeconfig: Path, webhooks: Webhooks) -> AsyncGenerator[Actor]:
    """Yield what carries commands out with the remediator's account, and calls these webhooks."""
    async with KubeClient(kubeconfig) as opened:
        yield Actor(led(opened, token=TOKEN_NOW), caller=partial(webhooks.call, check=nothing))


@pytest.mark.parametrize("kind", [*KINDS, "Job"])
async def test_a_webhook_is_called_about_each_kind_once_and_the_object_is_left_as_it_was(
    kind: str, bank: Bank, kubeconfigs: dict[str, Path]
) -> None:
    document = bank.run(kind, "called")
    ordered, marks = command(document, CALL), bank.marks(document)
    async with receiving(OK) as (receiver, webhooks), caller(kubeconfigs["remediator"], webhooks) as actor:
        shown = await preview(actor, ordered)
        assert isinstance(shown, Done), shown
        assert receiver.arrived == []
        done = await live(actor, ordered)
    assert isinstance(done, Done), done
    assert (done.changes, done.inverse) == (shown.changes, None)
    (request,) = receiver.arrived
    data = json.loads(request.body)["data"]
    assert (data["command"], data["reason"]) == (ordered.id, CALL.reason)
    assert data["target"] == {"kind": kind, "namespace": BANK, "name": "called"}
    signed = b".".join((ordered.id.encode(), request.headers["webhook-timestamp"].encode(), request.body))
    signature = b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()
    assert request.headers["webhook-signature"] == f"v1,{signature}"
    assert bank.marks(document) == marks


def protected(bank: Bank) -> Any:
    document = bank.run("Deployment", "called")
    bank.patch(document, {"metadata": {"labels": PROTECTED}})
    return document


def gone(bank: Bank) -> Any:
    return running("absent")


def there(bank: Bank) -> Any:
    return bank.run("Deployment", "called")


@pytest.mark.parametrize(
    ("arrange", "action", "acts", "refusal", "calls"),
    [
        (protected, CALL, (preview, live), Refusal.PROTECTED_OBJECT, 0),
        (gone, CALL, (preview, live), Refusal.TARGET_GONE, 0),
        (there, CALL.model_copy(update={"webhook": "other"}), (preview, live), Refusal.WEBHOOK_UNKNOWN, 0),
        (there, CALL, (live,), Refusal.WEBHOOK_REFUSES, 1),
    ],
)
async def test_a_broken_precondition_is_refused_by_its_name(
    arrange: Callable[[Bank], Any],
    action: CallWebhook,
    acts: tuple[Act, ...],
    refusal: Refusal,
    calls: int,
    bank: Bank,
    kubeconfigs: dict[str, Path],
) -> None:
    document = arrange(bank)
    async with receiving(NOT_HERE) as (receiver, webhooks), caller(kubeconfigs["remediator"], webhooks) as actor:
        answers = [await act(actor, command(document, action)) for act in acts]
    assert [one.refusal for one in answers if isinstance(one, Refused)] == [refusal] * len(acts)
    assert len(receiver.arrived) == calls
