"""What every service stands on: database, broker, outbox, inbox, identity. No word of the domain."""
