"""What every test may ask for: the real backends, and the header that says which ones they are."""

from hypothesis import HealthCheck, settings

# a machine under load is slow, which is no fault of a test
settings.register_profile("sre-agent", deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("sre-agent"), max_examples=2000)
settings.load_profile("sre-agent")

pytest_plugins = ["tests.backends"]
