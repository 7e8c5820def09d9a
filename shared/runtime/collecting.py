"""How often Python looks for circles of objects that nothing else reaches: seldom, for most that is made here stays.

What is not part of a circle goes at once, whatever stands here.
"""

import gc

_OBJECTS = 10_000
"""So many more of them than there were, instead of 700: reading a large playbook takes a third less of a processor."""


def collect_seldom() -> None:
    """Let this process look for circles seldom."""
    gc.set_threshold(_OBJECTS, *gc.get_threshold()[1:])
