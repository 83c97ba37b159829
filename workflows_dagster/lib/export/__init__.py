"""Exports of the merged model: one artefact per compression technique, and what loads them again."""
