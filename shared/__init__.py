"""What the services share: kernel, contracts, infrastructure and runtime, each layer knowing only those before it."""
