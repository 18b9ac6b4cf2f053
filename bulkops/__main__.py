"""The program: `bulkops`, and `python -m bulkops`."""

from __future__ import annotations

from bulkops.cli import main

if __name__ == "__main__":
    main()
