"""The remediator: carries commands out, once, within limits, and says what became of them.

In: sre.commands (the holder of the lease alone), sre.stops.
Out: sre.evidence (before anything is touched), sre.inbox (results), sre.audit, sre.stops, sre.deadletters.
"""
