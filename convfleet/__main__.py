"""The command `convfleet`, started as `python -m convfleet`."""

from orchestrator.cli.app import main

if __name__ == "__main__":
    main()
