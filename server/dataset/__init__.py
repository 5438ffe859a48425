"""Publication: the only way from a run to a data set."""
