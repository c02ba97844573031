"""``python -m prune_core``: the lab on the command line. See ``prune_core.cli``."""

from __future__ import annotations

from prune_core.cli import main

if __name__ == "__main__":
    main()
