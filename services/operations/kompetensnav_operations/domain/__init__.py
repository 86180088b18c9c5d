"""Rules of the console: what a queue is like, when somebody must be told, which dead letters may be replayed,
what may be shown, and how the audit hangs together. None knows what the events are about."""
