"""What the services share: kernel, contracts, infrastructure and runtime, each layer knowing only those before it."""

import os

# A plugin of pydantic is loaded from whatever package is installed beside, and is told of every message that is read:
# none is wanted. To look for them takes each program 10 ms of its start.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
