"""The capacity ledger: slots, seats, offers and the placements they become."""
