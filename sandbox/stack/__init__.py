"""The embedded stack: a real Kafka broker, a real Valkey server and the supervisor of their processes."""
