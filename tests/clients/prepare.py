"""Installs the clients of vaults that tests drive, and the tests' own Go programs, with visible progress: `make test` does it first."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from localcluster import ClusterSetupError
from support.bitwarden_server.cli import bitwarden_program
from support.clients.installing import InstallFailed, go_driver, javascript_modules
from support.format_readers import go_reader_program
from support.judge import judge_program


def main() -> int:
    """Install what is missing; 0 if all is there."""
    try:
        javascript_modules()
        bitwarden_program()
        go_driver()
        judge_program()
        go_reader_program()
    except (ClusterSetupError, InstallFailed) as error:
        print(error, file=sys.stderr)  # noqa: T201 - the one line a user gets
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
