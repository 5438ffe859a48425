"""Settings of all tests."""

import os

from hypothesis import settings

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does: idle threads must not spin

# Time limits on examples fail on busy machines and say nothing about the code.
settings.register_profile("willis", deadline=None)
settings.load_profile("willis")
