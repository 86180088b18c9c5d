"""The outside world: the event log."""
