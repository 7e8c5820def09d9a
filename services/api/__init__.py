"""The API: shows incidents, decisions, reports and status, and takes people's interventions.

In: sre.decisions, sre.incidents, sre.evidence, sre.rca.reports, sre.playbooks (into a read model in Redis).
Out: sre.inbox (approvals, manual actions, pause and resume), sre.signals.prometheus (Alertmanager's webhook).
"""
