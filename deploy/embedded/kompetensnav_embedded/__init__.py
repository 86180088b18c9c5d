"""The embedded edition: one machine, one command, the same real servers."""
