"""The collector: publishes what can be seen of a cluster, as changes and not as a flood.

In: the Kubernetes API (list and watch), Prometheus (instant queries of a file and of rules, at an interval),
sre.playbooks (which rules ask).
Out: sre.signals.kubernetes, sre.signals.prometheus.
"""
