"""Settings of all tests."""

from hypothesis import settings

# Time limits on examples fail on busy machines and say nothing about the code.
settings.register_profile("willis", deadline=None)
settings.load_profile("willis")
