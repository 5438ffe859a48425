"""The offline audit of what a coordinator published."""
