"""What is written into the folder of a data set, and what seals it."""
