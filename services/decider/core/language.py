"""The playbook's words: what a `healing-playbook.yaml` may say, as models that name what they expected."""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Literal, cast

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from services.decider.core.faults import did_you_mean
from services.decider.core.schedules import check_schedule
from services.decider.core.zones import zone_names
from shared.contracts.actions import RUNGS, ActionRung
from shared.contracts.actions.rung import Approval, RungBase
from shared.contracts.incidents import Severity
from shared.contracts.modes import Mode
from shared.contracts.words import Duration, Length, SignalKind, Words

API_VERSION = "sre-agent.dev/v1alpha1"
MOST_RULES = 1_000
"""A signal may have to be asked about by all of them, and each is held against those before it where it is checked."""
LONGEST_MAINTENANCE = timedelta(days=7)
MOST_WINDOWS = 20
"""Each finding is held against all of them."""
MOST_NAMED = 100
"""How many names, or globs of them, a window lists at most; each finding may be held against all of them."""
MOST_COUNTED = 1000
"""What a window counts at most; it is remembered for each workload."""
MESSAGE_CHARS = 2_000
"""How long a message may be, as it is written and as it is told."""
MOST_LABELS = 32
"""How many keys, and values of one, a playbook protects at most; each command carries all of them."""
_LABEL_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_LABEL_PREFIX = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_WEB_ADDRESS = re.compile(r"https?://[^\s/?#]+([/?#]\S*)?")


def _as_list(names: object) -> object:
    return [names] if isinstance(names, str) else names


def _as_texts(values: object) -> object:
    if isinstance(values, str | list):
        return _as_list(cast("object", values))
    raise ValueError("expected a text or a list of texts")


def _web_address(text: str) -> str:
    if _WEB_ADDRESS.fullmatch(text) is None:
        raise ValueError("expected an address that begins with http:// or https://")
    return text


_NAME_CHARS = 253
"""What Kubernetes takes for a name at the longest."""


def _glob(text: str) -> str:
    if not text or "/" in text or len(text) > _NAME_CHARS:
        raise ValueError("expected a name, or a glob of names such as 'bank-*'")
    return text


def _label_key(text: str) -> str:
    prefix, slash, name = text.rpartition("/")
    if _LABEL_NAME.fullmatch(name) is None or (slash and _LABEL_PREFIX.fullmatch(prefix) is None):
        raise ValueError("expected the key of a label such as tier or app.kubernetes.io/name")
    return text


def _label_value(text: str) -> str:
    if text and _LABEL_NAME.fullmatch(text) is None:
        raise ValueError("expected the value of a label: at most 63 letters, digits, and '-', '_' or '.' between them")
    return text


def _schedule(text: str) -> str:
    check_schedule(text)
    return text


def _zone(name: str) -> str:
    if name not in zone_names():
        expected = "expected a time zone of the IANA database such as Europe/Berlin, or UTC"
        hint = did_you_mean(name, sorted(zone_names()))
        raise PydanticCustomError("time_zone", "{expected}", {"expected": expected, "hint": hint})
    return name


def _not_beyond_a_week(length: timedelta) -> timedelta:
    if length > LONGEST_MAINTENANCE:
        raise ValueError(f"expected a duration of at most {LONGEST_MAINTENANCE.days}d")
    return length


def _at_most(most: int) -> BeforeValidator:
    """Refuse a longer list before each of its items is looked at: there may be thousands, and each costs time."""

    def bounded(several: object) -> object:
        if isinstance(several, list) and len(cast("list[object]", several)) > most:
            raise ValueError(f"expected at most {most} of them")
        return cast("object", several)

    return BeforeValidator(bounded)


Message = Annotated[str, Field(max_length=MESSAGE_CHARS)]
Short = Annotated[str, Field(max_length=200)]
Link = Annotated[str, Field(max_length=MESSAGE_CHARS), AfterValidator(_web_address)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
GlobWord = Annotated[str, AfterValidator(_glob)]
Scalar = str | int | float | bool
WORKLOAD = "workload"
"""What rules group by where they say nothing else: the workload that a signal is about."""
By = Annotated[
    tuple[str, ...],
    BeforeValidator(_as_list),
    Field(min_length=1, max_length=4),
    WithJsonSchema(
        {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 4}]}
    ),
]
LabelKey = Annotated[str, AfterValidator(_label_key)]
LabelValues = Annotated[
    frozenset[Annotated[str, AfterValidator(_label_value)]],
    BeforeValidator(_as_texts),
    Field(min_length=1, max_length=MOST_LABELS),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": MOST_LABELS},
            ]
        }
    ),
]


class Window(Words):
    """How often, within what time of the signals, a condition must hold before an incident is opened.

    `distinct` counts the different values of a fact instead of the signals. `rate` asks how fast it goes: so many
    signals a `per`, or, with `of`, such an increase of a number that a signal tells (a counter that began anew is taken
    to have begun at 0).
    """

    count: int = Field(default=1, ge=1, le=MOST_COUNTED)
    """How many signals, or different values, it takes."""
    distinct: str = ""
    """The fact whose different values are counted, instead of the signals."""
    rate: float | None = Field(default=None, gt=0)
    """How many signals a `per` it takes, or by how much `of` grows in it; instead of `count`."""
    of: str = ""
    """The fact, a number, whose increase a `rate` asks for."""
    per: Length = timedelta(minutes=1)
    """The time that a `rate` counts by."""
    within: Length
    """How far the window reaches back from the latest signal, in the signals' own time."""


class Partner(Words):
    """Signals of another kind that a rule's own are held against, and within what time of each other."""

    signal: SignalKind
    """The kind of these signals."""
    where: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict[str, "Scalar | list[Scalar]"])
    """Their facts that must equal a value, one of a list, or match a glob."""
    when: str = ""
    """A condition over their facts, in CEL."""
    within: Length
    """How far in time the two may be from each other."""


class WaitRung(RungBase):
    """Let time pass: the workload may recover by itself, which it has when it was healthy for `healthy_for`."""

    action: Literal["wait"]
    """Let time pass, in which the workload may recover by itself."""
    length: Length = Field(alias="for")
    """How long to wait before the next rung."""
    healthy_for: Duration = timedelta(seconds=30)
    """How long it must be healthy to have recovered."""


class NotifyRung(RungBase):
    """Tell people something, and go on."""

    action: Literal["notify"]
    """Tell people something, and go on with the next rung."""
    message: Message = Field(min_length=1)
    """What they are told; `{fact}` stands for what the signal says."""


class EscalateRung(RungBase):
    """Hand the incident to a person."""

    action: Literal["escalate"]
    """Hand the incident to a person; the end of a ladder."""
    message: Message = ""
    """What that person should know; `{fact}` stands for what the signal says."""


Rung = Annotated[ActionRung | WaitRung | NotifyRung | EscalateRung, Field(discriminator="action")]
STEPS: Mapping[str, type[RungBase]] = {**RUNGS, "wait": WaitRung, "notify": NotifyRung, "escalate": EscalateRung}
"""What a step may say, by its `action`."""
if TYPE_CHECKING:
    ActionWord = str
else:
    ActionWord = Literal[*STEPS]


class RuleWords(Words):
    """One rule: which signals, under which condition, and what to do about it, rung by rung.

    `description` is about the rule, `summary` about each of its incidents, which carry `owner`, `runbook` and `labels`.
    """

    name: Name
    """What decisions, metrics and cases call the rule; unique in the whole playbook."""
    description: str = ""
    """What trouble the rule is about, in a sentence."""
    summary: Message = ""
    """What each of its incidents is called; `{fact}` stands for what the signal says."""
    owner: Short = ""
    """Who its incidents belong to."""
    runbook: Link = ""
    """Where a person reads what to do: an http or https address."""
    labels: dict[Name, Short] = Field(default_factory=dict[Name, Short], max_length=32)
    """What its incidents carry, to be found and sorted by."""
    severity: Severity = Severity.WARNING
    """How urgent its incidents are to a person."""
    mode: Mode = Mode.LIVE
    """How far the rule may go; never further than its playbook."""
    signal: SignalKind
    """The kind of signal that it is about."""
    where: dict[str, Scalar | list[Scalar]] = Field(default_factory=dict[str, "Scalar | list[Scalar]"])
    """Facts that must equal a value, one of a list, or match a glob; indexed, so that others cost nothing."""
    when: str = ""
    """A condition over the facts in CEL, checked when it is loaded; `namespace` is spelled `__namespace__` in it."""
    promql: str = ""
    """A query of the rule's own, whose samples it is about; only with `signal: sample`."""
    window: Window = Window.model_construct(count=1, within=timedelta(minutes=5))  # as in shared.contracts.actions.rung
    """How often it must be met before an incident opens; at once where nothing is said."""
    held_for: Length | None = Field(default=None, alias="for")
    """How long it must hold without a break before an incident opens."""
    after: Partner | None = None
    """Signals that must have come before."""
    without: Partner | None = None
    """Signals that must stay away."""
    by: By = (WORKLOAD,)
    """What incidents are about: the workload, or up to four facts; only workloads can be acted on."""
    cooldown: Duration = timedelta(minutes=5)
    """How long the rule rests for a workload after an incident has ended."""
    ladder: tuple[Rung, ...] = Field(min_length=1)
    """What is done, rung by rung until one helps; a list, or the name of one of `ladders`."""


class MaintenanceWords(Words):
    """A window that opens again and again, in which no rule counts or begins anything about what it names."""

    name: Name
    """What decisions call the window that held something back."""
    schedule: Annotated[str, AfterValidator(_schedule)] = Field(
        description="When it opens, in cron's five fields: minute, hour, day-of-month, month, day-of-week."
    )
    timezone: Annotated[str, AfterValidator(_zone)] = Field(
        default="UTC", description="The IANA time zone in which the schedule is meant, such as Europe/Berlin."
    )
    duration: Annotated[Length, AfterValidator(_not_beyond_a_week)]
    """How long it stays open, a week at most."""
    namespaces: Annotated[tuple[GlobWord, ...], _at_most(MOST_NAMED)] = Field(
        default=(),
        min_length=1,
        max_length=MOST_NAMED,
        description="Names of namespaces, or globs of them; all where nothing is said.",
    )
    rules: Annotated[tuple[GlobWord, ...], _at_most(MOST_NAMED)] = Field(
        default=(),
        min_length=1,
        max_length=MOST_NAMED,
        description="Names of rules, or globs of them; all where nothing is said.",
    )


class Protected(Words):
    """What no rule and no person may have acted on through this agent."""

    namespaces: frozenset[str] = frozenset({"kube-system", "kube-public", "kube-node-lease"})
    """Namespaces about which nothing is ever ordered."""
    labels: dict[LabelKey, LabelValues] = Field(
        default_factory=dict[LabelKey, LabelValues],
        max_length=MOST_LABELS,
        description="Labels, each with its value or a list of values: what carries one of them is never acted on.",
    )


class ManualWords(Words):
    """How far people may go who ask for actions by hand."""

    mode: Mode = Mode.LIVE
    """How far such an action may go; with `approval` it is previewed, and waits for a person."""
    approval: Approval = Approval.model_construct()
    """Who may say yes, and how long they may take, where the mode is `approval`."""


class Metadata(Words):
    """The playbook's own name."""

    name: Name
    """What people call the playbook."""


class Spec(Words):
    """The rules and what holds for all of them."""

    mode: Mode = Mode.LIVE
    """How far any rule may go."""
    protected: Protected = Protected.model_construct()
    """What is never acted on."""
    manual: ManualWords = ManualWords.model_construct()
    """How far actions may go that people ask for; of the playbook's own file alone, not of those that it includes."""
    maintenance: Annotated[tuple[MaintenanceWords, ...], _at_most(MOST_WINDOWS)] = Field(
        default=(), max_length=MOST_WINDOWS
    )
    """Windows that open again and again, in which rules leave alone what they name."""
    rules: Annotated[tuple[RuleWords, ...], _at_most(MOST_RULES)] = Field(min_length=1, max_length=MOST_RULES)
    """The rules, in the order in which they are looked at."""


class PlaybookWords(Words):
    """A whole `healing-playbook.yaml`."""

    apiVersion: Literal["sre-agent.dev/v1alpha1"]  # noqa: N815 - Kubernetes' own spelling
    """The version of this language."""
    kind: Literal["HealingPlaybook"]
    """What this file is."""
    metadata: Metadata
    """What people call it."""
    spec: Spec
    """The rules and what holds for all of them."""
