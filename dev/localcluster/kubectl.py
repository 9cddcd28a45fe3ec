"""kubectl as tests and tools run it: as one user of one cluster, leaving nothing in the home folder."""

import os
import subprocess
from pathlib import Path

from localcluster.errors import KubectlFailed

# Long: what waits ends by an event, which may come late on a busy machine.
_TIMEOUT = 180.0


class Kubectl:
    """The `kubectl` command.

    Args:
        program: the executable.
        kubeconfig: the user to act as, and the cluster.
        cache: the folder where it keeps what it learns about API servers.
    """

    def __init__(self, program: Path, *, kubeconfig: Path, cache: Path) -> None:
        self._program = program
        self._kubeconfig = kubeconfig
        self._cache = cache

    def __call__(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002  named as in subprocess.run, whose result this returns
        check: bool = True,
        timeout: float = _TIMEOUT,
        kubeconfig: Path | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl.

        Args:
            arguments: the command, such as `"get", "pods"`.
            input: text for its standard input.
            check: raise when it fails.
            timeout: seconds; `subprocess.TimeoutExpired` is raised after them.
            kubeconfig: of another user.
            cwd: the folder that files are named from.

        Raises:
            KubectlFailed: it failed, and `check` is set.
        """
        result = subprocess.run(
            [self._program, *arguments],
            input=input,
            check=False,
            timeout=timeout,
            capture_output=True,
            text=True,
            cwd=cwd,
            env=self.environment(kubeconfig),
        )
        if check and result.returncode:
            raise KubectlFailed(" ".join(("kubectl", *arguments)), returncode=result.returncode, stderr=result.stderr)
        return result

    def wait(self, *arguments: str) -> None:
        """Run `kubectl wait`.

        Raises:
            KubectlFailed: what is waited for has not come in three minutes, or cannot come.
        """
        # kubectl's own time-out says what was waited for; the process gets a little longer to say it.
        self("wait", f"--timeout={_TIMEOUT:.0f}s", *arguments, timeout=_TIMEOUT + 30)

    def environment(self, kubeconfig: Path | None = None) -> dict[str, str]:
        """Return the environment in which any kubectl does the same."""
        return os.environ | {
            "KUBECONFIG": str(kubeconfig or self._kubeconfig),
            "KUBECACHEDIR": str(self._cache),
            "KUBERC": "off",
        }
