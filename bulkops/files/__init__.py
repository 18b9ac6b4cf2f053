"""Floor 2, the files: manifests, plans, logs and settings on disk. Nothing here calls a server."""
