"""The coordinator: gate, average, ledger, publication. Kept light: every Flower process imports it."""
