"""Slots and seats between stacks, and nothing about who has them."""
