"""The command line as `python -m medseg`, which launchers of several processes can start, too."""

from medseg.workflows.cli import main

if __name__ == "__main__":
    main()
