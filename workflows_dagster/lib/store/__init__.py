"""The versioned store behind every asset: write aside, audit, publish in one atomic step, read at a commit."""
