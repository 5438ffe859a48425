"""The portal: pages for data stewards and auditors, made anew from ledgers and data sets at every request."""
