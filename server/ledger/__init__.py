"""The federation's ledger at its coordinator: where it lies, who writes, what is exported."""
