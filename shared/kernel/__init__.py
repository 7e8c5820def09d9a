"""Ideas everything rests on, from the standard library alone: ids, errors, time, quantities, globs, redaction."""
