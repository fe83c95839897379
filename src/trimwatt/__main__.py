"""`python -m trimwatt`."""

from trimwatt.commands import main

if __name__ == "__main__":
    main()
