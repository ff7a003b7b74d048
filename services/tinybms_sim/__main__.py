"""Entry point of `python -m tinybms_sim`."""

from tinybms_sim.main import main

if __name__ == "__main__":
    main()
