"""The web page: three static files that read the REST API; no build step, nothing from another host."""
