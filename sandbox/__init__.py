"""The stage for demo and scenarios: the embedded stack and a small cluster that breaks on cue."""
