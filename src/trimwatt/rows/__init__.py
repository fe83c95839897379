"""Rows of tables in two forms: columns as the user has them, and the numbers and words that models made here read."""
