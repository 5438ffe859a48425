"""What `willis evaluate` does, by kind of data set."""
