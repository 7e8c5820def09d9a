"""Runs the remediator: `python -m services.remediator`."""

import sys

from services.remediator.main import main
from shared.runtime.lifecycle import run_or_explain

sys.exit(run_or_explain(main))
