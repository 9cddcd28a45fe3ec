"""A Bitwarden server for tests: as much of it as the real command-line client `bw` needs to log in, sync and read files.

It is no emulator for users, and never part of the wheel.
"""

from support.bitwarden_server.account import Account, Kdf
from support.bitwarden_server.sealing import Key
from support.bitwarden_server.server import Answer, BitwardenServer, Fault, Seen

__all__ = ["Account", "Answer", "BitwardenServer", "Fault", "Kdf", "Key", "Seen"]
