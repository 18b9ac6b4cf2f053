"""Floor 1, the rules: what is true of values. They never wait, read a file or ask the time."""
