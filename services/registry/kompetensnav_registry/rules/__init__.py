"""The rules of placements: dated, each with its source, some with a municipality's own numbers."""
