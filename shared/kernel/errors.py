"""The error families: what a consume loop must do about a failure.

    SreAgentError
    ├── TransientError        retry: the world may be better in a moment
    │   └── UnavailableError  a dependency does not answer; `/readyz` names it
    ├── PoisonError           dead-letter: this input can never be handled
    └── ConfigError           stop: a person must mend a setting or a file

Everything else is a defect of ours and crashes the process, to be restarted by its supervisor.
"""


class SreAgentError(Exception):
    """Root of every error raised on purpose."""


class TransientError(SreAgentError):
    """Signal that the same call may succeed when it is tried again."""


class UnavailableError(TransientError):
    """Signal that a dependency (broker, store, API server, model) does not answer."""


class PoisonError(SreAgentError):
    """Signal that an input can never be handled, however often it is tried."""


class ConfigError(SreAgentError):
    """Signal that a setting or a file must be mended by a person before work can go on."""
