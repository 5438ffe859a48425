"""The hospital: cohort, policy, site ledger, private training. Kept light: every Flower message imports it."""
