"""The release gate: what must hold of a run and of the cases drawn from it before they may leave.

Whatever is computed here comes from the ledger, from synthetic cases and from public simulators, so it is
post-processing of what the mechanism released and costs no budget. A gate finds what is broken; it does not say
that images are good: `willis evaluate` measures that.
"""
