"""The commands below `willis dataset`."""
