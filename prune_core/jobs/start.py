"""Run as a file by whoever starts an engine: two imports of torch at the same time instead of one after the other.

The process that workers are forked from is started before this one imports anything heavy itself.
"""

import sys
from multiprocessing import forkserver, set_forkserver_preload

if __name__ == "__main__":
    if sys.platform == "linux":
        set_forkserver_preload(["prune_core.jobs.preload"])
        forkserver.ensure_running()
    from prune_core.jobs.engine import main

    main()
