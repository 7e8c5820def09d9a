"""The rca service: explains the cause of an incident from its evidence, by Google Gemini or by rules. It never acts.

In: sre.rca.requests (and sre.evidence, single records).
Out: sre.rca.reports.
"""
