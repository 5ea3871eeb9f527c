"""`sqsnn-bench` whose shared searches notice a dead command soon, and whose trials last a moment."""

import os
import sys
import time

from sqsnn_bench.cli import main
from sqsnn_bench.study import shared_search, sharing, trials


def work(job):
    """Take so long that a test can kill it in the middle."""
    time.sleep(float(os.environ.get("PAUSE", "0")))
    return trials.work(job)


if __name__ == "__main__":
    shared_search.POLL, shared_search.BEAT, shared_search.GRACE = 0.2, 1.0, 4
    import hurried

    sharing.work = hurried.work  # by its name, under which workers find it
    main(sys.argv[1:])
