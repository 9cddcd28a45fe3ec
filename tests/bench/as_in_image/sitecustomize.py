"""Python imports this at its start if the folder is on its path: so the operator is measured as it is in the image.

Libraries of the linters and of pytest, which the image lacks, are hidden. httpx would import them for its command line, and they take 4 MiB.
"""

import sys

for name in ("pygments", "rich"):
    sys.modules[name] = None  # type: ignore[assignment]
