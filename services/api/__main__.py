"""Runs the API: `python -m services.api`."""

import sys

from services.api.main import main
from shared.runtime.lifecycle import run_or_explain

sys.exit(run_or_explain(main))
