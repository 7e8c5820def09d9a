"""Runs the rca service: `python -m services.rca`."""

import sys

from services.rca.main import main
from shared.runtime.lifecycle import run_or_explain

sys.exit(run_or_explain(main))
