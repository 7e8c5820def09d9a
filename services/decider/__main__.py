"""Runs the decider: `python -m services.decider`."""

import sys

from services.decider.main import main

sys.exit(main())
