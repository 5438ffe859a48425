"""What every side of a federation must agree on. Imports nothing, so that light commands stay light."""
