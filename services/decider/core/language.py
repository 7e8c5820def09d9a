"""The playbook's words: what a `healing-playbook.yaml` may say, as models that name what they expected."""

import re
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from shared.contracts.incidents import Mode, Severity
from shared.kernel.quantities import format_bytes, parse_bytes

API_VERSION = "sre-agent.dev/v1alpha1"
MOST_COUNTED = 1000
"""What a window counts at most; it is remembered for each workload."""
MANUAL = "manual"
"""What stands for a rule where a person acts; no rule is called so."""
MESSAGE_CHARS = 2_000
"""How long a message may be, as it is written and as it is told."""
LONGEST = timedelta(days=365)
"""Beyond this nobody waits, and moments would leave the calendar."""
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+([/?#]\S*)?")
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")

_DURATION_DIGITS = 9


def _parse_duration(text: object) -> timedelta:
    if isinstance(text, timedelta):  # a default; YAML has no such value
        return text
    matched = _DURATION.fullmatch(text) if isinstance(text, str) and text else None
    if matched is None:
        raise ValueError("expected a duration such as 30s, 5m or 1h30m")
    if any(len(part or "") > _DURATION_DIGITS for part in matched.groups()):
        raise ValueError(f"expected a duration of at most {LONGEST.days}d")
    days, hours, minutes, seconds = (int(part or 0) for part in matched.groups())
    length = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
    if length > LONGEST:
        raise ValueError(f"expected a duration of at most {LONGEST.days}d")
    return length


def _not_nothing(length: timedelta) -> timedelta:
    if length <= timedelta(0):
        raise ValueError("expected a duration longer than 0s")
    return length


def _format_duration(length: timedelta) -> str:
    return f"{length // timedelta(seconds=1)}s"


def _as_list(names: object) -> object:
    return [names] if isinstance(names, str) else names


def _web_address(text: str) -> str:
    if _WEB_ADDRESS.fullmatch(text) is None:
        raise ValueError("expected an address that begins with http:// or https://")
    return text


def _parse_size(text: object) -> int:
    if isinstance(text, str):
        return parse_bytes(text)
    raise ValueError("expected a quantity with a unit such as 512Mi")


Duration = Annotated[timedelta, BeforeValidator(_parse_duration), PlainSerializer(_format_duration)]
Length = Annotated[Duration, AfterValidator(_not_nothing)]
"""A duration within which something can happen."""
Size = Annotated[int, BeforeValidator(_parse_size), PlainSerializer(format_bytes)]
Message = Annotated[str, Field(max_length=MESSAGE_CHARS)]
Short = Annotated[str, Field(max_length=200)]
Link = Annotated[str, Field(max_length=MESSAGE_CHARS), AfterValidator(_web_address)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
Scalar = str | int | float | bool
WORKLOAD = "workload"
"""What rules group by where they say nothing else: the workload that a signal is about."""
By = Annotated[tuple[str, ...], BeforeValidator(_as_list), Field(min_length=1, max_length=4)]
SignalKind = Literal["event", "container", "pod", "workload", "node", "sample", "alert"]


class _Words(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Window(_Words):
    """How often, within what time of the signals, a condition must hold before an incident is opened.

    `distinct` counts the different values of a fact instead of the signals. `rate` asks how fast it goes: so many
    signals a `per`, or, with `of`, such an increase of a number that a signal tells (a counter that began anew is taken
    to have begun at 0).
    """

    count: int = Field(default=1, ge=1, le=MOST_COUNTED)
    distinct: str = ""
    rate: float | None = Field(default=None, gt=0)
    of: str = ""
    per: Length = timedelta(minutes=1)
    within: Length


class Partner(_Words):
    """Signals of another kind that a rule's own are held against, and within what time of each other."""

    signal: SignalKind
    where: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict[str, "Scalar | list[Scalar]"])
    when: str = ""
    within: Length


class Verify(_Words):
    """A cure is proven when the workload was healthy for `healthy_for`, at the latest `within` after the action."""

    healthy_for: Duration = timedelta(seconds=30)
    within: Duration = timedelta(minutes=5)


class Approval(_Words):
    """How long an action may wait for a person."""

    expires: Duration = timedelta(minutes=30)


class _Rung(_Words):
    when: str = ""


class _ActionRung(_Rung):
    mode: Mode = Mode.LIVE
    attempts: int = Field(default=1, ge=1, le=10)
    backoff: Duration = timedelta(seconds=10)
    verify: Verify = Verify()
    approval: Approval = Approval()


class RestartPodRung(_ActionRung):
    """Evict the pod that the finding is about."""

    action: Literal["restart-pod"]


class SetMemoryRung(_ActionRung):
    """Multiply the memory limit of the container that the finding is about, never beyond `cap`."""

    action: Literal["set-memory"]
    factor: float = Field(default=2.0, gt=1.0, le=8.0)
    cap: Size


class RollbackRung(_ActionRung):
    """Give the workload back the template it had before the failing rollout."""

    action: Literal["rollback"]


class WaitRung(_Rung):
    """Let time pass: the workload may recover by itself, which it has when it was healthy for `healthy_for`."""

    action: Literal["wait"]
    length: Length = Field(alias="for")
    healthy_for: Duration = timedelta(seconds=30)


class NotifyRung(_Rung):
    """Tell people something, and go on."""

    action: Literal["notify"]
    message: Message = Field(min_length=1)


class EscalateRung(_Rung):
    """Hand the incident to a person."""

    action: Literal["escalate"]
    message: Message = ""


ActionWord = Literal["restart-pod", "set-memory", "rollback", "wait", "notify", "escalate"]
ActionRung = RestartPodRung | SetMemoryRung | RollbackRung
Rung = Annotated[ActionRung | WaitRung | NotifyRung | EscalateRung, Field(discriminator="action")]


class RuleWords(_Words):
    """One rule: which signals, under which condition, and what to do about it, rung by rung.

    `description` is about the rule, `summary` about each of its incidents, which carry `owner`, `runbook` and `labels`.
    """

    name: Name
    description: str = ""
    summary: Message = ""
    owner: Short = ""
    runbook: Link = ""
    labels: dict[Name, Short] = Field(default_factory=dict[Name, Short], max_length=32)
    severity: Severity = Severity.WARNING
    mode: Mode = Mode.LIVE
    signal: SignalKind
    where: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict[str, "Scalar | list[Scalar]"])
    when: str = ""
    promql: str = ""
    window: Window = Window(count=1, within=timedelta(minutes=5))
    held_for: Length | None = Field(default=None, alias="for")
    after: Partner | None = None
    without: Partner | None = None
    by: By = (WORKLOAD,)
    cooldown: Duration = timedelta(minutes=5)
    ladder: tuple[Rung, ...] = Field(min_length=1)


class Protected(_Words):
    """What no rule and no person may have acted on through this agent."""

    namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})


class Metadata(_Words):
    """The playbook's own name."""

    name: Name


class Spec(_Words):
    """The rules and what holds for all of them."""

    mode: Mode = Mode.LIVE
    protected: Protected = Protected()
    rules: tuple[RuleWords, ...] = Field(min_length=1)


class PlaybookWords(_Words):
    """A whole `healing-playbook.yaml`."""

    apiVersion: Literal["sre-agent.dev/v1alpha1"]  # noqa: N815 - Kubernetes' own spelling
    kind: Literal["HealingPlaybook"]
    metadata: Metadata
    spec: Spec
