"""The flow of a study: what is tried, measured, chosen and kept."""
