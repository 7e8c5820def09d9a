"""Every metric, declared once, with its meaning."""

from prometheus_client import Counter, Gauge, Histogram

HANDLED = Counter(
    "sre_messages_handled_total", "Messages that a service handled to their end, by loop and type.", ["loop", "type"]
)
HANDLING_SECONDS = Histogram(
    "sre_message_handling_seconds",
    "Time from taking a message up to its last effect being acknowledged.",
    ["loop"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10),
)
RETRIES = Counter(
    "sre_message_retries_total", "Times that a message was tried again after a transient error.", ["loop"]
)
BURIED = Counter("sre_dead_letters_total", "Messages that could not be handled and went to dead letters.", ["service"])
CHECKS = Gauge("sre_health_check", "1 while a named part of a service is well, else 0.", ["service", "check"])
SIGNATURES = Counter(
    "sre_command_signatures_total",
    "Commands whose signature was checked: `good`, or why it is not believed; by the key if it is known.",
    ["verdict", "key"],
)
DOUBTED = Counter(
    "sre_records_doubted_total",
    "Records of the audit trail and of the brake's account that a leader read and does not believe, by why; `old` are "
    "those without a signature from before the first one that has it.",
    ["topic", "doubt"],
)
STREAM_GAPS = Counter(
    "sre_stream_gaps_total", "Inputs that the stream engine would have skipped, and were sought back.", ["partition"]
)
EVENTS_LOST = Counter(
    "sre_kubernetes_events_lost_total", "Kubernetes Events of commands that could not be written on their workloads."
)
BRAKED = Counter(
    "sre_commands_braked_total",
    "Commands that the storm brake told to wait, by reason; `dry_run`: that it would have, had they been live.",
    ["reason", "dry_run"],
)
HEALINGS_OPEN = Gauge(
    "sre_healings_open",
    "Healings that were done and are neither proven nor given up, as the leader's brake counts them.",
)
SCORED_DECISIONS = Counter(
    "sre_scored_decisions_total",
    "Decisions that are counted into a rule's score, by rule and reason: hindsights, and whether predictions held.",
    ["rule", "reason"],
)
INCIDENTS_TOLD = Counter(
    "sre_incidents_told_total",
    "Times that an incident was told of anew, by the phase that it then stood in; a final phase is told once.",
    ["phase"],
)
STOPS_IN_FORCE = Gauge(
    "sre_stops_in_force", "Stops that hold, by API, annotation or ConfigMap, as the leader knows of them; else 0."
)
LEADER = Gauge("sre_leader", "1 while this process holds the remediator's lease, else 0.")
PLAYBOOK_IN_FORCE = Gauge(
    "sre_playbook_in_force",
    "1 for the playbook that this decider matches with, by its hash and name.",
    ["hash", "name"],
)
PLAYBOOK_LOADED = Gauge(
    "sre_playbook_load_successful", "1 where the playbook's file, as it was last read, is fit for use, else 0."
)
