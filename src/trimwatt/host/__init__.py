"""The machine below the meters: processes, and the ways to count what all of a program's processes use."""
