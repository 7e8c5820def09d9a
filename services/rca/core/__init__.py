"""The rca service's pure core: evidence to numbered citations, redaction, the rules' analysis, the model's answer."""
