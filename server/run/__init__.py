"""One run at its coordinator, from what was asked to settlement."""
