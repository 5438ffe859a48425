"""Studies: what others published, recomputed with the accountants Willis uses."""
