"""The decider's pure core: playbook, `match`, `decide`. Time, order and everything else comes in with the inputs."""
