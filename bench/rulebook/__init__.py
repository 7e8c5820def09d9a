"""The peer: ansible-rulebook in an environment of its own, with the same rules and signals."""
