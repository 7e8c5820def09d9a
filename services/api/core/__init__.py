"""The API's pure core: messages to the read model's changes, an incident to its timeline."""
