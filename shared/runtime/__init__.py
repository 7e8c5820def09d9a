"""What every service runs on: settings, lifecycle, the consume loop, logs, metrics, health, the CLI."""
