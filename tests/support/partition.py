"""A door between one operator and the API server that a test can shut, while everybody else goes on."""

import asyncio
import threading
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import yaml


class Partition:
    """Forwards TCP connections to an API server; as a context manager.

    Attributes:
        kubeconfig: leads through here.

    Args:
        kubeconfig: leads to the API server.
        folder: for the other kubeconfig.
    """

    def __init__(self, kubeconfig: Path, *, folder: Path) -> None:
        self._config = yaml.safe_load(kubeconfig.read_text())
        self._target = urlsplit(self._config["clusters"][0]["cluster"]["server"])
        self.kubeconfig = folder / "partition.kubeconfig"
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._open = asyncio.Event()
        self._refuses = False
        self._forwarding: set[asyncio.Task[None]] = set()

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result(10)
        self._config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{port}"
        self.kubeconfig.write_text(yaml.safe_dump(self._config))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def shut(self, *, silently: bool) -> None:
        """Let nothing pass any more: silently as a broken network does, or with closed connections as a dead server."""
        asyncio.run_coroutine_threadsafe(self._shut(silently=silently), self._loop).result(10)

    def reopen(self) -> None:
        """Let everything pass again."""
        asyncio.run_coroutine_threadsafe(self._reopen(), self._loop).result(10)

    async def _reopen(self) -> None:
        self._refuses = False
        self._open.set()

    async def _shut(self, *, silently: bool) -> None:
        self._open.clear()
        self._refuses = not silently
        if self._refuses:
            await self._hang_up()

    async def _hang_up(self) -> None:
        for task in self._forwarding:
            task.cancel()
        await asyncio.gather(*self._forwarding, return_exceptions=True)

    async def _listen(self) -> int:
        self._open.set()
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        self._server.close()
        await self._hang_up()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.close()
            return
        task = asyncio.create_task(self._forward(reader, writer))
        self._forwarding.add(task)
        task.add_done_callback(self._forwarding.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._target.port is not None
        there = None
        try:
            far_reader, there = await asyncio.open_connection(self._target.hostname, self._target.port)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, there))
                group.create_task(self._copy(far_reader, writer))
        except* OSError:
            pass
        finally:
            writer.close()
            if there is not None:
                there.close()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while chunk := await reader.read(1 << 16):
            await self._open.wait()
            writer.write(chunk)
            await writer.drain()
        # One side has ended; so does the other.
        raise ConnectionResetError
