"""Federations on one machine: phantom hospitals, engines and the commands that drive them."""
