"""A round without the API server's fence: the harm that it keeps off is done then, and the rounds see it."""

import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

from shared.contracts.actions.evictions import eviction_of
from shared.contracts.actions.marks import TOKEN_ANNOTATION
from shared.infra.crashing import CrashPoint
from shared.infra.kube import KubeError, PatchType
from tests.cluster.objects import BANK
from tests.cluster.rounds import NEXT, Ended, Round, Stage, passed
from tests.integration.service_process import until

_FENCE = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/sre-agent-remediator-fence"
_FORBIDDEN = 403
_TRIES = 5
UNSEEN = Round(CrashPoint.WRITE_CHECKED, 1, signal.SIGSTOP, expires=True)
"""What no other guard stops: the hold was checked before, and the next leader, who refuses, changes no version."""


async def unfenced(stage: Stage, number: int) -> Ended:
    """Play rounds from a number on without the fence until harm is done, a few at the most; put it up again."""
    async with _without_fence(stage):
        for attempt in range(_TRIES - 1):
            ended = await passed(stage, number + attempt, UNSEEN)
            if ended.judgement.stale:
                return ended
        return await passed(stage, number + _TRIES - 1, UNSEEN)


@asynccontextmanager
async def _without_fence(stage: Stage) -> AsyncGenerator[None]:
    await _answer(stage, "Audit")
    try:
        await until(lambda: _is_open(stage))
        yield
    finally:
        await _answer(stage, "Deny")

    async def is_shut() -> bool:
        return not await _is_open(stage)

    await until(is_shut)


async def _answer(stage: Stage, action: str) -> None:
    """Let the fence deny, or only note; with no binding the API server would stop to watch the register for good."""
    await stage.admin.patch(_FENCE, {"spec": {"validationActions": [action]}}, kind=PatchType.MERGE)


async def _is_open(stage: Stage) -> bool:
    """Ask whether a leader of no token may evict a pod, without evicting it."""
    pod = (await stage.pods(NEXT))[0]["metadata"]
    asked = eviction_of(pod["name"], BANK, uid=pod["uid"])
    body: Any = {**asked.body, "metadata": {"name": pod["name"], "annotations": {TOKEN_ANNOTATION: "0"}}}
    try:
        await stage.remediator.create(asked.path, body, dry_run=True)
    except KubeError as refused:
        if refused.status != _FORBIDDEN:
            raise
        return False
    return True
