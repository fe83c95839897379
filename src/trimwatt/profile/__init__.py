"""Where a model spends its time on this host."""
