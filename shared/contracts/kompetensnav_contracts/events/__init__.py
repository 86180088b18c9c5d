"""The events, one module per service that speaks."""
