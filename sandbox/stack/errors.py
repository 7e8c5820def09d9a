"""What can go wrong with the embedded stack.

SreAgentError
└── StackError
    ├── InstallError        a part could not be fetched, or is not the one that was pinned
    ├── ProcessDiedError    a process ended before it was ready
    └── NotReadyError       a process runs but did not become ready in time
"""

from shared.kernel.errors import SreAgentError


class StackError(SreAgentError):
    """Root of the embedded stack's failures; the message names the cure."""


class InstallError(StackError):
    """Signal that a part of the stack could not be fetched or failed its checksum."""


class ProcessDiedError(StackError):
    """Signal that a process ended before it was ready; carries the end of its log."""


class NotReadyError(StackError):
    """Signal that a process runs but was not ready before its deadline."""
