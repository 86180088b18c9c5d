"""What can be done in the registry: one module per noun, one function per use case."""
