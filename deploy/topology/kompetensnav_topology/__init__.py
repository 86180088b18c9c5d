"""Streams, consumers and users of a stack: made here, and never by a service."""
