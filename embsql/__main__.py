"""python -m embsql is the command line."""

from embsql.shells.cli import main

if __name__ == "__main__":
    main()
