"""Sensors: what starts work when the outside world moves."""
