"""What can be done in matching."""
