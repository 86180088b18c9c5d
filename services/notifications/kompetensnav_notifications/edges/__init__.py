"""The outside world: e-mail."""
