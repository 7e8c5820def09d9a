"""What the collector asks of the world: lists and watches of the Kubernetes API."""
