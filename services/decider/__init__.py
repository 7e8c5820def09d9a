"""The decider: says what is to be done about each workload, by the rules of the playbook in force.

In: sre.signals.kubernetes, sre.signals.prometheus (matching), sre.inbox (deciding).
Out: sre.inbox (findings, health, wake-ups, the playbook), sre.decisions, sre.incidents, sre.commands,
sre.rca.requests, sre.playbooks, sre.deadletters.
"""
