"""How often a worker looks for garbage that refers to itself."""

import gc
from typing import Final

#: New objects until a look at the young ones, and such looks until one at older ones (counts). By Python's default of
#: 700 a batch of 500 commands is gone through dozens of times while all of it is still needed: then a command costs
#: 17 % more of the processor's time, and with its projection 27 %.
_THRESHOLDS: Final = (10_000, 20, 50)


def look_for_garbage_seldom() -> None:
    """Have this process look less often than by default; what nothing refers to goes at once all the same."""
    gc.set_threshold(*_THRESHOLDS)
