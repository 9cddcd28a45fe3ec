"""Python imports this at its start if the folder is on its path: so the operator's own program runs with the double."""

import os

from support.stored_accounts import VARIABLE, install

install(os.environ[VARIABLE])
