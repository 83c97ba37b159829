"""Connection to, and lifecycle of, one outside thing each."""
