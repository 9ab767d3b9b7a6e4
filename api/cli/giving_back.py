"""What the process frees goes back to the system."""

import ctypes
from contextlib import suppress

LARGE = 128 * 1024
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""`M_TRIM_THRESHOLD` and `M_MMAP_THRESHOLD` of malloc.h."""


def give_back_what_is_large() -> None:
    """Have blocks of 128 KB and more returned when they are freed, and what is free above all that is used.

    Left alone, glibc raises both limits to what it once saw freed, and keeps as much: the language model's tables, read
    once, were twenty megabytes ever after, and the results of many searches twelve. So it is called before either.
    """
    with suppress(OSError, AttributeError):  # another C library
        for setting, size in ((_MMAP_THRESHOLD, LARGE), (_TRIM_THRESHOLD, 2 * LARGE)):
            ctypes.CDLL(None).mallopt(setting, size)
