"""From a candidate, through a steward's decision, to a release in the ledger."""
