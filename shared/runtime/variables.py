"""The names of all `SRE_` variables: services and commands share an environment, and none may overlook what it is told.

Each image holds its own service alone, so the names of all of them stand here; a test holds the list against the
settings of each service and the options of each command.
"""

from collections.abc import Iterable
from difflib import get_close_matches

PREFIX = "SRE_"
_SERVICES = """
    ACT_WITHIN_SECONDS API_HOST API_MAX_STREAMS API_PORT API_SERVICES API_TOKEN API_TOKENS_FILE API_URL
    BRAKE_CLUSTER_AT_ONCE BRAKE_CLUSTER_PER_HOUR BRAKE_NAMESPACE_AT_ONCE BRAKE_NAMESPACE_PERCENT
    BRAKE_NAMESPACE_PER_HOUR BRAKE_NODES_PERCENT BRAKE_NODE_AT_ONCE BRAKE_NODE_PER_HOUR BRAKE_WORKLOAD_PER_HOUR
    CHECKING_KEYS_FILE CLUSTER CRASH_AT DRY_RUN EVIDENCE_WITHIN_SECONDS
    GEMINI_BASE_URL GEMINI_MODEL GEMINI_TIMEOUT_SECONDS HEALTH_HOST HEALTH_PORT INSTANCE
    KAFKA_BOOTSTRAP KUBECONFIG LEASE_TTL_SECONDS LOG_FORMAT LOG_LEVEL PLAYBOOK_FILE PROMETHEUS_URL PROTECTED_NAMESPACES
    QUERIES_FILE RECORDS_FORMER_KEYS_FILE RECORDS_KEY_FILE REDIS_URL SESSION_TIMEOUT_SECONDS SIGNING_KEY_FILE STOP_AT
    TOKEN WEBHOOKS_FILE
"""
_SANDBOX = "AGENT_CACHE TEST_CLUSTER TEST_KUBECONFIG"
"""What the local stack and the tests on a real cluster are told; the services that they start inherit it."""
_KNOWN = sorted((*_SERVICES.split(), *_SANDBOX.split()))
KNOWN = frozenset(f"{PREFIX}{name}" for name in _KNOWN)


def unknown_among(names: Iterable[str]) -> list[str]:
    """Return a line for each name that looks like a setting of ours and is none, in capitals or not."""
    return [_line(name) for name in sorted(names) if name.upper().startswith(PREFIX) and name.upper() not in KNOWN]


def _line(name: str) -> str:
    near = get_close_matches(name.upper().removeprefix(PREFIX), _KNOWN, n=1)
    hint = f"; did you mean {PREFIX}{near[0]}?" if near else ""
    return f"{name}: no service and no command knows this variable{hint}"
