"""What every test may ask for: the real backends, and the header that says which ones they are."""

pytest_plugins = ["tests.backends"]
