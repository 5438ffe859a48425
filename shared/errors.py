"""Errors a person can act on: what was wrong, where, and what to do.

Every error has a stable `code`. At a hospital the code is all that may leave the site: messages can name
files and patients, so they stay in the site's own log (see `client.app`).
"""


class WillisError(Exception):
    """Base of all errors shown to a person as one line; anything else is a bug and shows its traceback."""

    code = "error"


class UsageError(WillisError):
    """A command was asked for something that does not exist or does not fit together."""

    code = "usage"


class CohortError(WillisError):
    """A hospital's files are not what the recipe needs."""

    code = "cohort"


class PolicyRefusal(WillisError):
    """The site's own policy forbids what the coordinator asks."""

    code = "policy"


class LedgerError(WillisError):
    """A ledger is damaged, missing, or would be contradicted."""

    code = "ledger"


class CheckpointError(WillisError):
    """A checkpoint is damaged, missing, or could not be written."""

    code = "checkpoint"


class ProtocolError(WillisError):
    """A message breaks the protocol: wrong run, round, model, shape or signature."""

    code = "protocol"


class RequestRefused(ProtocolError):
    """A site refuses a request that goes beyond what it agreed to; the text holds public facts only."""

    code = "request"


class QuorumError(WillisError):
    """Too few sites sent an update that passed the gate."""

    code = "quorum"


class PublicationRefused(WillisError):
    """The run may not be published."""

    code = "publication"
