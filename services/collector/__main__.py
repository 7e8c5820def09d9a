"""Runs the collector: `python -m services.collector`."""

import sys

from services.collector.main import main
from shared.runtime.lifecycle import run_or_explain

sys.exit(run_or_explain(main))
