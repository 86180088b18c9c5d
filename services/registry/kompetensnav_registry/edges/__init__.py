"""The outside world: signed links and CSV files."""
