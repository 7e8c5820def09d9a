"""What the decider does to the world: the playbook's file, the table of states, the log that is read again."""
