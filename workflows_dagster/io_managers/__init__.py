"""How assets get the outputs of others: bytes and schema only."""
