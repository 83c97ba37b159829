"""Pilot annotation: what people are asked, how their answers come back, and what they change."""
