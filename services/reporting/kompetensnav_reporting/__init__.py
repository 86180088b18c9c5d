"""Read models and reports that add up."""
