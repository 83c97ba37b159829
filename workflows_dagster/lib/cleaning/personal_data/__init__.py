"""Personal data in texts: found, and replaced by a token that says what stood there."""
