"""What can be done, one function each."""
