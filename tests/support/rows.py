"""What people write into files; imports nothing, for those who are started often."""

SLOT_COLUMNS = (
    "ref,workplace,placement_type,occupation,starts_on,ends_on,seats,min_language,offers_needs,shared_with,"
    "named_municipalities"
)


def org_number(n: int) -> str:
    """A made-up organisation number with a right check digit."""
    digits = f"5590{n:05}"[-9:]
    total = sum(sum(divmod(int(d) * (2 - i % 2), 10)) for i, d in enumerate(digits))
    return digits + str(-total % 10)
