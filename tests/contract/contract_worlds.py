"""The providers that are held to the contract."""

from collections.abc import Sequence

from contract_bitwarden import BitwardenWorld
from contract_connect import ConnectWorld
from contract_onepassword import OnepasswordWorld
from contract_world import World

WORLDS: Sequence[type[World]] = (ConnectWorld, OnepasswordWorld, BitwardenWorld)
