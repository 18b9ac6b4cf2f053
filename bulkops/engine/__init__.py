"""Floor 4, the engine: runs, and what is done with them afterwards. It never speaks to people."""
