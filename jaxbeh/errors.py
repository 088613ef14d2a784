"""The exceptions that jaxbeh raises on purpose; every command turns them into one message."""


class JaxbehError(Exception):
    """Something that a user can mend; the text says what was found, where, and what to do."""


class SettingsError(JaxbehError):
    """A setting is unknown, of the wrong type, impossible, or contradicts another."""


class DataError(JaxbehError):
    """A file or table cannot be used as it stands."""


class RunError(JaxbehError):
    """A run folder does not fit the command, or nothing is left to train on or to score."""


class CheckpointError(JaxbehError):
    """No intact checkpoint can be restored, or one cannot be written."""


class BundleError(JaxbehError):
    """What is to be carried to a machine without a network cannot be put together."""
