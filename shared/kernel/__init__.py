"""Ideas everything rests on, from the standard library alone: ids, errors, clock, back-off, quantities, globs."""
