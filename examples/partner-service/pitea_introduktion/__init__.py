"""Introduction days before a placement begins."""
