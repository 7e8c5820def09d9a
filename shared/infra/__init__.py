"""Adapters to the outside, one third-party library each: Kafka, Faust's streams, Redis, Kubernetes."""
