"""Floor 3, the wire: tokens, limits and single calls. Nothing here knows what a run is."""
