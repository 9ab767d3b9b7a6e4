"""How fast this machine is at the moment, so that a limit in seconds says something about the product alone."""

import mmap
import re
import time

PAGE, PAGES = 4096, 512
TAKES_S = 0.004
"""What `_work` takes on an idle machine of the kind that the limits were set on (a core of about 3 GHz)."""
SEEN = re.compile(r"\d+x")


def usual(seconds: float) -> float:
    """What a limit of `seconds` on a machine at rest comes to on this one as it is now: never less, more where a neighbour
    takes its time or the host is slow to hand out memory."""
    return seconds * max(1.0, min(_work() for _ in range(3)) / TAKES_S)


def _work() -> float:
    """Seconds that a little of everything takes: computing, objects, a regular expression, memory never touched before."""
    began = time.perf_counter()
    sum(number * number for number in range(30_000))
    text = " ".join([str(number) for number in range(10_000)])
    assert SEEN.search(text) is None
    with mmap.mmap(-1, PAGE * PAGES) as fresh:
        for place in range(0, PAGE * PAGES, PAGE):
            fresh[place] = 1
    return time.perf_counter() - began
