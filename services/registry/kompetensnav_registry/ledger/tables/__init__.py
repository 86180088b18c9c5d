"""The rows."""
