"""Actions: the closed union of what may be done to a cluster; all of one stands in its own module, and nowhere else.

A new action is its file, and its names in the two unions here; the rest is derived from them.
"""

from collections.abc import Mapping
from typing import Annotated, cast, get_args

from pydantic import Field

from shared.contracts.actions.base import ActionBase
from shared.contracts.actions.call_webhook import CallWebhook, CallWebhookRung
from shared.contracts.actions.cordon import Cordon, CordonRung
from shared.contracts.actions.cronjob_suspension import (
    ResumeCronJob,
    ResumeCronJobRung,
    SuspendCronJob,
    SuspendCronJobRung,
)
from shared.contracts.actions.delete_pod import DeletePod, DeletePodRung
from shared.contracts.actions.drain import Drain, DrainRung
from shared.contracts.actions.expand_volume import ExpandVolume, ExpandVolumeRung
from shared.contracts.actions.restart_pod import RestartPod, RestartPodRung
from shared.contracts.actions.restart_rollout import RestartRollout, RestartRolloutRung
from shared.contracts.actions.restore_service import RestoreService, RestoreServiceRung
from shared.contracts.actions.retry_job import RetryJob, RetryJobRung
from shared.contracts.actions.rollback import Rollback, RollbackRung
from shared.contracts.actions.rollout_pause import PauseRollout, PauseRolloutRung, ResumeRollout, ResumeRolloutRung
from shared.contracts.actions.run_job import RunJob, RunJobRung
from shared.contracts.actions.rung import ActionRungBase
from shared.contracts.actions.scale import Scale, ScaleRung
from shared.contracts.actions.scale_hpa import ScaleHpa, ScaleHpaRung
from shared.contracts.actions.set_cpu import SetCpu, SetCpuRung
from shared.contracts.actions.set_memory import SetMemory, SetMemoryRung
from shared.contracts.actions.uncordon import Uncordon, UncordonRung
from shared.contracts.rights import Right

AnyAction = (
    RestartPod
    | SetMemory
    | SetCpu
    | Rollback
    | ScaleHpa
    | ExpandVolume
    | RestoreService
    | Cordon
    | Uncordon
    | DeletePod
    | RetryJob
    | RunJob
    | Drain
    | RestartRollout
    | Scale
    | PauseRollout
    | ResumeRollout
    | SuspendCronJob
    | ResumeCronJob
    | CallWebhook
)
ActionRung = (
    RestartPodRung
    | SetMemoryRung
    | SetCpuRung
    | RollbackRung
    | ScaleHpaRung
    | ExpandVolumeRung
    | RestoreServiceRung
    | CordonRung
    | UncordonRung
    | DeletePodRung
    | RetryJobRung
    | RunJobRung
    | DrainRung
    | RestartRolloutRung
    | ScaleRung
    | PauseRolloutRung
    | ResumeRolloutRung
    | SuspendCronJobRung
    | ResumeCronJobRung
    | CallWebhookRung
)
"""What a step of a playbook says of each."""
Action = Annotated[AnyAction, Field(discriminator="kind")]

_ACTIONS = cast("tuple[type[ActionBase], ...]", get_args(AnyAction))
_RUNGS = cast("tuple[type[ActionRungBase], ...]", get_args(ActionRung))

ACTIONS: Mapping[str, type[ActionBase]] = {one.model_fields["kind"].default: one for one in _ACTIONS}
"""By their words."""
RUNGS: Mapping[str, type[ActionRungBase]] = {get_args(one.model_fields["action"].annotation)[0]: one for one in _RUNGS}
"""By their words, for those that a playbook may order."""
KINDS: Mapping[str, frozenset[str]] = {kind: one.KINDS for kind, one in ACTIONS.items()}
"""The kinds of workloads that each is done to."""
RIGHTS: Mapping[str, frozenset[Right]] = {kind: one.RIGHTS for kind, one in ACTIONS.items()}
"""What the remediator must be allowed to do for each, where the workload lies."""
