"""What the remediator does to a cluster, and what it captures of it before."""
