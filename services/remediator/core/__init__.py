"""The remediator's pure core: may a command be carried out, and what exactly would it change."""
