"""The settings of a remediator whose brake stops nothing: for tests and benches of everything else that it does."""

_SCOPES = ("WORKLOAD_PER_HOUR", "NODE_PER_HOUR", "NAMESPACE_PER_HOUR", "CLUSTER_PER_HOUR")
_AT_ONCE = ("NODE_AT_ONCE", "NAMESPACE_AT_ONCE", "CLUSTER_AT_ONCE")
UNBRAKED = {
    **{f"SRE_BRAKE_{name}": "1000000" for name in (*_SCOPES, *_AT_ONCE)},
    "SRE_BRAKE_NAMESPACE_PERCENT": "100",
    "SRE_BRAKE_NODES_PERCENT": "100",
}
