"""The collector: publishes what can be seen of a cluster, as changes and not as a flood.

In: the Kubernetes API (list and watch), Prometheus (instant queries of a file, at an interval).
Out: sre.signals.kubernetes, sre.signals.prometheus.
"""
