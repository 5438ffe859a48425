"""The coordinating centre."""
