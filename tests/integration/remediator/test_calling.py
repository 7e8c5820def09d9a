"""Webhooks called over a real connection: answers of each kind, silence, garbage, lines that are cut."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from itertools import pairwise

import pytest

from services.remediator.adapters import calling
from services.remediator.adapters.calling import Webhooks
from shared.contracts.actions.base import RefusedError, StoppedError, UnansweredError
from shared.contracts.refusals import Refusal
from shared.contracts.requests import Call
from shared.contracts.stops import Stop, Way
from shared.kernel.errors import UnavailableError
from tests.integration.remediator.receiver import KEY, Receiver, receiving
from tests.unit.services.remediator.build import NOW

pytestmark = pytest.mark.integration
SHORT = timedelta(seconds=2)
OK, NO_CONTENT = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", b"HTTP/1.1 204 No Content\r\n\r\n"
BROKEN = b"HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"
GARBAGE = b"\x00\xff\x00 this is no answer\r\n\r\n"
ENDLESS_HEADER = b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n"
LONG = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n" + b"a" * 100_000
"""An answer that would go on for ever."""
HALF = b"HTTP/1.1 200"
SILENCE = b""
HANGS = None
NO_ANSWERS = {"500": BROKEN, "garbage": GARBAGE, "half": HALF, "cut": SILENCE, "endless header": ENDLESS_HEADER}


async def nothing() -> None:
    """Let everything pass."""


async def called(
    webhooks: Webhooks,
    *,
    check: Callable[[], Awaitable[None]] = nothing,
    dry_run: bool = False,
    name: str = "pipeline",
) -> None:
    call = Call(name, {"type": "sre-agent.command", "data": {"reason": "ü"}}, SHORT)
    await webhooks.call(call, command="cmd-1", check=check, dry_run=dry_run)


@pytest.mark.parametrize("answer", [OK, NO_CONTENT, LONG], ids=["ok", "no-content", "long"])
async def test_an_answer_of_2xx_is_done_by_one_signed_request_whatever_else_it_says(answer: bytes) -> None:
    async with receiving(answer) as (receiver, webhooks):
        await called(webhooks)
    (request,) = receiver.arrived
    assert request.line == "POST /heal?of=bank HTTP/1.1"
    assert json.loads(request.body) == {"type": "sre-agent.command", "data": {"reason": "ü"}}
    name, moment = request.headers["webhook-id"], request.headers["webhook-timestamp"]
    expected = hmac.new(KEY, b".".join((name.encode(), moment.encode(), request.body)), hashlib.sha256).digest()
    assert name == "cmd-1"
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"


@pytest.mark.parametrize("first", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_is_no_answer_is_asked_again_under_the_same_id(first: bytes) -> None:
    async with receiving(first, OK) as (receiver, webhooks):
        await called(webhooks)
    assert [one.headers["webhook-id"] for one in receiver.arrived] == ["cmd-1", "cmd-1"]
    assert len({one.body for one in receiver.arrived}) == 1


@pytest.mark.parametrize("answer", NO_ANSWERS.values(), ids=NO_ANSWERS)
async def test_what_stays_without_an_answer_is_unknown_when_its_time_is_over(answer: bytes) -> None:
    async with receiving(answer) as (receiver, webhooks):
        with pytest.raises(UnansweredError, match="tries"):
            await called(webhooks)
    assert len(receiver.arrived) > 2


async def test_a_receiver_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calling, "TRY_S", 0.3)
    loop = asyncio.get_running_loop()
    async with receiving(HANGS) as (receiver, webhooks):
        began = loop.time()
        with pytest.raises(UnansweredError, match="no answer in time"):
            await called(webhooks)
        assert loop.time() - began < SHORT.total_seconds() + 0.5
    assert len(receiver.arrived) > 1


def answered(status: int, **headers: str) -> bytes:
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} Any\r\nContent-Length: 0\r\n{lines}\r\n".encode()


@pytest.mark.parametrize("status", [400, 401, 404, 410, 429])
async def test_an_answer_of_4xx_is_refused_at_once(status: int) -> None:
    async with receiving(answered(status)) as (receiver, webhooks):
        with pytest.raises(RefusedError) as told:
            await called(webhooks)
    assert (told.value.refusal, str(status) in told.value.message) == (Refusal.WEBHOOK_REFUSES, True)
    assert len(receiver.arrived) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_not_followed(status: int) -> None:
    elsewhere = Receiver([OK])
    server = await asyncio.start_server(elsewhere.serve, "127.0.0.1", 0)
    location = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    async with server, receiving(answered(status, Location=location)) as (receiver, webhooks):
        with pytest.raises(RefusedError) as told:
            await called(webhooks)
    assert (told.value.refusal, len(receiver.arrived), elsewhere.arrived) == (Refusal.WEBHOOK_REFUSES, 1, [])


async def test_a_refusal_says_nothing_of_a_call_before_that_may_have_been_done() -> None:
    async with receiving(BROKEN, answered(409)) as (_, webhooks):
        with pytest.raises(UnansweredError, match="409, after 2 tries"):
            await called(webhooks)


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with receiving(OK) as (_, webhooks):
        pass
    with pytest.raises(RefusedError) as told:
        await called(webhooks)
    assert told.value.refusal is Refusal.WEBHOOK_AWAY


async def test_a_dry_run_sends_nothing_and_knows_the_names_all_the_same() -> None:
    async with receiving(OK) as (receiver, webhooks):
        await called(webhooks, dry_run=True)
        for dry_run in (True, False):
            with pytest.raises(RefusedError) as told:
                await called(webhooks, dry_run=dry_run, name="other")
            assert told.value.refusal is Refusal.WEBHOOK_UNKNOWN
    assert receiver.arrived == []


def stopping(*, after: int, by: Exception) -> Callable[[], Awaitable[None]]:
    """Return a check that lets so many tries pass."""
    passed = 0

    async def check() -> None:
        nonlocal passed
        passed += 1
        if passed > after:
            raise by

    return check


STOPPED = StoppedError(Stop(id="stop-1", at=NOW, way=Way.API, scope="", holds=True, by="ann", cause="release").words)
GONE = UnavailableError("the lease may be somebody else's by now")


async def test_while_a_stop_holds_or_another_leads_nothing_is_sent() -> None:
    async with receiving(OK) as (receiver, webhooks):
        for by in (STOPPED, GONE):
            with pytest.raises(type(by)):
                await called(webhooks, check=stopping(after=0, by=by))
    assert receiver.arrived == []


async def test_a_stop_between_two_tries_leaves_the_first_unknown() -> None:
    async with receiving(BROKEN, OK) as (receiver, webhooks):
        with pytest.raises(UnansweredError, match="release"):
            await called(webhooks, check=stopping(after=1, by=STOPPED))
    assert len(receiver.arrived) == 1


def test_the_pauses_between_tries_only_grow() -> None:
    assert all(before < after for before, after in pairwise(calling.PAUSES_S))
