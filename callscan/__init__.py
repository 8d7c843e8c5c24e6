"""callscan listens to every call of a contact centre and counts, by issue, what hurts the customer."""
