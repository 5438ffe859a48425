"""A hospital."""
