"""``python -m prune_ui``: start the lab. See ``prune_ui.server``."""

from __future__ import annotations

from prune_ui.server import main

if __name__ == "__main__":
    main()
