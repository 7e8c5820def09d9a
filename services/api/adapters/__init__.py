"""What the API talks to: the read model in Redis, and the services' health servers."""
