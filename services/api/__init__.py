"""The API: shows incidents, decisions, reports and status, and takes people's interventions.

In: sre.decisions, sre.incidents, sre.evidence, sre.rca.reports, sre.playbooks, sre.stops, and silences of sre.inbox
(into a read model in Redis).
Out: sre.inbox (approvals, manual actions, silences, pause and resume), sre.stops, sre.signals.prometheus
(Alertmanager's webhook).
"""
