"""Sensors, one module each: what starts runs when the outside world has changed."""
