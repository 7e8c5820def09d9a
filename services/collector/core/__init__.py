"""The collector's pure core: Kubernetes objects to signals, and which of them are news."""
