"""`willis dataset verify`: everything in a published data set, checked offline."""
