"""Carbon: what a joule emits, as far as the grid is known."""
