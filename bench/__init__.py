"""Side-by-side measurements; each prints a table with the machine it ran on."""
