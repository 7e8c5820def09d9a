"""The collector: publishes what can be seen of a cluster, as changes and not as a flood.

In: the Kubernetes API (list and watch).
Out: sre.signals.kubernetes.
"""
