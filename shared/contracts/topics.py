"""The one declaration of topics: names, partitions, retention, models.

Topics are created from it, the AsyncAPI document is generated from it, and deployment manifests are checked by it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from shared.contracts.audit import AuditEntry
from shared.contracts.commands import Command
from shared.contracts.deadletters import DeadLetter
from shared.contracts.evidence import Evidence
from shared.contracts.inbox import (
    Approval,
    Finding,
    ManualAction,
    Observation,
    Pause,
    PlaybookActivated,
    Result,
    Resume,
    Silence,
    SilenceEnded,
    WakeUp,
)
from shared.contracts.incidents import Decision, Incident
from shared.contracts.model import Message
from shared.contracts.playbooks import PlaybookInForce, PlaybookLoad
from shared.contracts.reports import RcaRequest, Report
from shared.contracts.signals import (
    AlertSignal,
    ContainerSignal,
    EventSignal,
    NodeSignal,
    PodSignal,
    SampleSignal,
    WorkloadSignal,
)
from shared.contracts.spendings import Spending
from shared.contracts.stops import Stop


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic: what it is for and how the broker keeps it.

    `retention` is None where the newest message of a key is kept for ever (compaction). With `append_time` the broker
    stamps the messages, so that a partition's timestamps never go back. Until `compaction_lag` has passed no message is
    compacted away, not even where a newer one of its key has come.
    """

    name: str
    purpose: str
    messages: tuple[type[Message], ...]
    partitions: int
    retention: timedelta | None
    append_time: bool = False
    compaction_lag: timedelta = timedelta(0)

    @property
    def is_compacted(self) -> bool:
        """Tell whether the broker keeps only the newest message of a key."""
        return self.retention is None

    @property
    def config(self) -> Mapping[str, str]:
        """Return the broker's settings of this topic."""
        stamp = {"message.timestamp.type": "LogAppendTime" if self.append_time else "CreateTime"}
        if self.retention is None:
            lag_ms = self.compaction_lag // timedelta(milliseconds=1)
            return stamp | {"cleanup.policy": "compact"} | ({"min.compaction.lag.ms": str(lag_ms)} if lag_ms else {})
        return stamp | {
            "cleanup.policy": "delete",
            "retention.ms": str(self.retention // timedelta(milliseconds=1)),
        }


_DAY = timedelta(days=1)
_WEEK = timedelta(days=7)
_MONTH = timedelta(days=30)
_YEAR = timedelta(days=365)

SIGNALS_KUBERNETES = Topic(
    name="sre.signals.kubernetes",
    purpose="Observations of the cluster: events, and changes of health.",
    messages=(EventSignal, ContainerSignal, PodSignal, WorkloadSignal, NodeSignal),
    partitions=6,
    retention=_WEEK,
)
SIGNALS_PROMETHEUS = Topic(
    name="sre.signals.prometheus",
    purpose="Samples of Prometheus queries, and alerts.",
    messages=(SampleSignal, AlertSignal),
    partitions=6,
    retention=_WEEK,
)
SIGNAL_TOPICS = (SIGNALS_KUBERNETES, SIGNALS_PROMETHEUS)
"""All topics of signals."""
INBOX = Topic(
    name="sre.inbox",
    purpose="All that can change an incident, in one order per partition.",
    messages=(
        Finding,
        Observation,
        WorkloadSignal,
        NodeSignal,
        Result,
        Approval,
        ManualAction,
        WakeUp,
        Pause,
        Resume,
        Silence,
        SilenceEnded,
        PlaybookActivated,
    ),
    partitions=6,
    retention=_MONTH,
    append_time=True,
)
DECISIONS = Topic(
    name="sre.decisions",
    purpose="What was decided about each input, with a named reason.",
    messages=(Decision,),
    partitions=6,
    retention=_MONTH,
)
INCIDENTS = Topic(
    name="sre.incidents",
    purpose="The newest state of each incident.",
    messages=(Incident,),
    partitions=6,
    retention=None,
)
COMMANDS = Topic(
    name="sre.commands",
    purpose="Actions to carry out.",
    messages=(Command,),
    partitions=6,
    retention=_WEEK,
)
EVIDENCE = Topic(
    name="sre.evidence",
    purpose="What was captured about a target before it was touched.",
    messages=(Evidence,),
    partitions=6,
    retention=_MONTH,
)
SPENDINGS = Topic(
    name="sre.spendings",
    purpose="What each healing took from the brake's budgets; of one partition, so that it has one order.",
    messages=(Spending,),
    partitions=1,
    retention=_DAY,
)
AUDIT = Topic(
    name="sre.audit",
    purpose="What became of each attempt to act, chained by hashes; of one partition, so that it has one order.",
    messages=(AuditEntry,),
    partitions=1,
    retention=_YEAR,
)
RCA_REQUESTS = Topic(
    name="sre.rca.requests",
    purpose="Incidents whose cause is to be explained.",
    messages=(RcaRequest,),
    partitions=6,
    retention=_WEEK,
)
RCA_REPORTS = Topic(
    name="sre.rca.reports",
    purpose="The newest root-cause analysis of each incident.",
    messages=(Report,),
    partitions=6,
    retention=None,
)
PLAYBOOKS = Topic(
    name="sre.playbooks",
    purpose="The playbook in force, and what became of its file when it was last read.",
    messages=(PlaybookInForce, PlaybookLoad),
    partitions=1,
    retention=None,
)
STOPS = Topic(
    name="sre.stops",
    purpose="Which stops of all writes, or of some, are in force: the newest word of each.",
    messages=(Stop,),
    partitions=1,
    retention=None,
)
DEAD_LETTERS = Topic(
    name="sre.deadletters",
    purpose="Inputs that could not be handled, with their coordinates.",
    messages=(DeadLetter,),
    partitions=1,
    retention=_MONTH,
)
DECIDER_APP = "sre-decider"
WORKLOADS_TABLE = "workloads"
WORKLOADS_CHANGELOG = Topic(
    name=f"{DECIDER_APP}-{WORKLOADS_TABLE}-changelog",
    purpose="The decider's own state, written by its stream engine.",
    messages=(),
    partitions=INBOX.partitions,
    retention=None,
    compaction_lag=timedelta(days=1),
)

TOPICS: tuple[Topic, ...] = (
    SIGNALS_KUBERNETES,
    SIGNALS_PROMETHEUS,
    INBOX,
    DECISIONS,
    INCIDENTS,
    COMMANDS,
    EVIDENCE,
    SPENDINGS,
    AUDIT,
    RCA_REQUESTS,
    RCA_REPORTS,
    PLAYBOOKS,
    STOPS,
    DEAD_LETTERS,
    WORKLOADS_CHANGELOG,
)
