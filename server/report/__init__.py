"""The budget report: figures from the ledger alone, then a page, a registry record, plain words."""
