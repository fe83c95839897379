"""Finds the model that does the job for the least energy, and proves it."""
