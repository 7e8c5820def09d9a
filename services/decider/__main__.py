"""Runs the decider: `python -m services.decider`."""

import sys

from services.decider.main import main
from shared.runtime.lifecycle import run_or_explain

sys.exit(run_or_explain(main))
