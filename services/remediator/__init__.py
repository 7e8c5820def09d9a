"""The remediator: carries commands out, once, within limits, and says what became of them.

In: sre.commands (the holder of the lease alone), sre.stops; and what a new leader reads first: sre.audit,
sre.spendings, sre.incidents.
Out: sre.evidence (before anything is touched), sre.inbox (results), sre.audit, sre.spendings, sre.stops,
sre.deadletters.
"""
