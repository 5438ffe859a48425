"""Willis at real hospitals: identities, processes, what a site agrees to run. No patient is read here."""
