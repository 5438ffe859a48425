"""The hospital: cohort, policy, site ledger, private training. Light: every Flower message imports it."""
