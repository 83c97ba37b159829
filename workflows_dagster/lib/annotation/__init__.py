"""Pilot annotation: the reviews that people are asked about, their answers, and the labels that follow."""
