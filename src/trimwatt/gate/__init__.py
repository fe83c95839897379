"""The gate: whether budgets for energy, latency, size and quality hold, alone or against another commit."""
